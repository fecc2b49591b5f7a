"""The books of the chaos benchmark balance when all is well, and tell what is not."""

import pytest
from sqlalchemy import Engine

from benchmarks.chaos import books
from benchmarks.chaos.books import Faults
from db import batches
from tests.integration.workers.crowd import accept, answer, drain, execute, make_project
from workers.runtime import Runtime

POSTED = [("one", "r1", "a"), ("other", "r1", "b"), ("one", "r2", "a"), ("other", "r2", "a")]


@pytest.mark.parametrize(
    ("wrong", "faults"),  # several checks may find the same
    [
        ("SELECT 1", Faults()),
        ("UPDATE challenges SET key = CASE key WHEN 'one' THEN 'two' ELSE 'one' END", Faults(wrong_content=4)),
        ("UPDATE respondents SET key = key || '!' WHERE key = 'r2'", Faults(wrong_content=2)),
        ("UPDATE batches SET state = 'graded' WHERE state = 'cancelled'", Faults(lost=4, wrong_content=1)),
        ("UPDATE consensus SET answers = answers + 1", Faults(wrong_consensus=2)),
        ("UPDATE respondent_statistics SET counts = counts[1:1] || 9 || counts[3:]", Faults(wrong_statistics=2)),
        ("DELETE FROM sheets", Faults(lost=8, wrong_statistics=2, wrong_consensus=10)),
        ("DELETE FROM bulletins", Faults(wrong_feed=6)),
    ],
)
def test_what_is_wrong_is_found(engine: Engine, runtime: Runtime, wrong: str, faults: Faults) -> None:
    project = make_project(engine, "ab", repeats="first")
    given, taken_back = ([answer(*each) for each in POSTED], [answer("one", "r3", "b"), answer("one", "r4", "b")])
    graded, cancelled = (accept(engine, project, body)[0] for body in (given, taken_back))
    with engine.begin() as connection:
        batches.cancel(connection, project, cancelled)
    drain(runtime, project)
    posted = {str(graded): POSTED, str(cancelled): [("one", "r3", "b"), ("one", "r4", "b")]}
    execute(engine, wrong)
    assert books.audit(engine, project, posted, [str(cancelled)], at_rest=True) == faults
