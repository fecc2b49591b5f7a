"""What grading asks of Postgres at each claim is planned a few times, not each time."""

from contextlib import ExitStack
from dataclasses import replace

from sqlalchemy import Engine, text

from tests.integration.workers.crowd import accept, books, crowd, make_project, split
from workers import grading
from workers.runtime import CONNECTIONS, Runtime

CLAIMS = 60
PREPARED_AFTER = 5
"""Executions on a connection: the driver's default."""


def test_statements_stay_prepared_from_one_claim_to_the_next(engine: Engine, runtime: Runtime) -> None:
    """A rollback, be it of a transaction that has only read, drops all that its connection has prepared."""
    project, other = make_project(engine), make_project(engine, name="other")
    answers = crowd(1, challenges=CLAIMS)
    accept(engine, project, *split(answers, len(answers) // CLAIMS))
    accept(engine, other, crowd(2))  # which waits: claims do not grow
    single = replace(runtime, settings=runtime.settings.model_copy(update={"claim_batches": 1}))
    while books(engine, project).waiting:
        grading.run(single, project, "live")
    used = text(
        "SELECT coalesce(sum(generic_plans + custom_plans), 0) FROM pg_prepared_statements WHERE statement ~ :x"
    )
    with ExitStack() as stack:
        connections = [stack.enter_context(runtime.engine.begin()) for _ in range(CONNECTIONS)]
        for statement in ("WITH due AS", "UPDATE consensus", "INSERT INTO turns", "FROM gold"):
            found = [connection.execute(used, {"x": statement}).scalar_one() for connection in connections]
            assert sum(found) >= CLAIMS - CONNECTIONS * PREPARED_AFTER, statement
