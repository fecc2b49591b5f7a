"""Grades and scores in the reply to the POST itself."""

import asyncio
import uuid
from contextlib import suppress

from anyio import to_thread

from api.doors import find_project, scores_told_from
from api.outages import is_outage
from api.schemas.batch import Batch
from api.schemas.grade import Grade
from api.schemas.graded import Graded
from api.schemas.score import Score
from api.services import Services
from db import batches, grades, scores
from db.keys import Principal

PATIENCE = 5.0
"""Seconds that the one look may take, its turn included."""


async def within(
    services: Services, caller: Principal, project: str, batch: uuid.UUID, word: asyncio.Event, seconds: int
) -> bytes | None:
    """What became of a batch, once there is word of it, or looked up when the time is over; None: it is not graded."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await word.wait()
    return await now(services, caller, project, batch)


async def now(services: Services, caller: Principal, project: str, batch: uuid.UUID) -> bytes | None:
    """What became of a batch; None: it is not graded, or Postgres does not say so in time."""

    def look() -> bytes | None:
        with services.reading() as connection:
            found = find_project(connection, caller.tenant_id, project)
            row = batches.get(connection, found.id, batch)
            if row.state != "graded":
                return None
            given = grades.of_batch(connection, row.id, after=-1, limit=row.answers)
            judged = scores.page(connection, row.id, after=scores.START, limit=row.answers)
        told_from = scores_told_from(caller, found)
        graded = Graded(
            batch=Batch.of(row, found.name),
            grades=[Grade.of(grade, found) for grade in given],
            scores=[Score.of(score, told_from=told_from) for score in judged],
        )
        return graded.model_dump_json().encode()

    try:
        async with asyncio.timeout(PATIENCE):
            return await to_thread.run_sync(look, limiter=services.waiters.readers, abandon_on_cancel=True)
    except Exception as error:
        if isinstance(error, TimeoutError) or is_outage(error):
            return None  # the batch is safe all the same, and that is what the reply says then
        raise
