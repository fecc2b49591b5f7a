"""Group commit, with Postgres there and not there."""

import asyncio
import itertools
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from api.commits import Writer
from api.problems import ProblemError
from cli.stack.server import Server
from config.settings import Settings
from db.batches import NewBatch
from db.line import Line
from tests.integration.workers.crowd import make_project, new_batch, scalar
from tests.processes import hanging


@pytest.fixture
def batches(engine: Engine) -> Iterator[NewBatch]:
    """Batches of one project without end."""
    project = make_project(engine)
    return (new_batch(project, b"{}", key=f"k{number}", count=1) for number in itertools.count())


def test_a_hanging_postgres_is_waited_for_once(
    settings: Settings, engine: Engine, postgres: Server, batches: Iterator[NewBatch]
) -> None:
    """Whoever comes once that is known is turned away before anything is waited for."""

    async def scene() -> None:
        line = Line(settings.require_database_url(), name="test")
        rung: list[tuple[int, str]] = []
        writer = Writer(line, lambda *door: rung.append(door), patience=0.3)
        first = next(batches)
        assert (await writer.accept(first, 1)).new
        with hanging(postgres):
            waiting = [writer.accept(next(batches), 1) for _ in range(3)]
            for outcome in await asyncio.gather(*waiting, return_exceptions=True):
                assert isinstance(outcome, ProblemError)
                assert outcome.status_code == 503
            with pytest.raises(ProblemError, match="does not answer"):
                writer.accept(next(batches), 1).send(None)
        while True:  # until the statement that was under way has come back
            try:
                await writer.accept(next(batches), 1)
                break
            except ProblemError:
                await asyncio.sleep(0)
        assert rung[0] == (first.project_id, first.lane)
        with engine.connect() as connection:
            assert len(rung) == scalar(connection, "SELECT count(DISTINCT xmin::text) FROM batches")
        await writer.stop()
        await line.close()

    asyncio.run(scene())
