"""Grading that fails: what passes is tried again, what is bad is found and set apart, and nobody else notices."""

import uuid
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from config.settings import Settings
from db import batches, claims, transactions
from db.bodies import pack, unpack
from tests.integration.workers.crowd import (
    Answer,
    accept,
    answer,
    books,
    crowd,
    drain,
    execute,
    make_project,
    scalar,
    split,
    states,
    verdicts,
)
from tests.integration.workers.faulty import TERMINATE, fail, fault
from workers import faults, grading
from workers.runtime import Runtime


def corrupt(engine: Engine, uid: uuid.UUID, before: str, after: str) -> None:
    """Replace text in the stored body of a batch."""
    where = "WHERE batch_id = (SELECT id FROM batches WHERE uid = :uid)"
    with engine.begin() as connection:
        stored = connection.execute(text(f"SELECT body FROM payloads {where}"), {"uid": uid}).scalar_one()
        body = pack(unpack(stored).replace(before.encode(), after.encode()))
        connection.execute(text(f"UPDATE payloads SET body = :body {where}"), {"body": body, "uid": uid})


def batch(engine: Engine, project: int, uid: uuid.UUID) -> batches.BatchRow:
    with engine.connect() as connection:
        return batches.get(connection, project, uid)


def test_a_body_that_cannot_be_read_harms_only_its_batch(engine: Engine, runtime: Runtime, settings: Settings) -> None:
    project = make_project(engine)
    uids = accept(engine, project, *split(crowd(1)[:70], 10))
    corrupt(engine, uids[3], '{"answers":', '{"nothing":')
    with pytest.raises(faults.GradingFailedError, match=f"batch {uids[3]} waits to be tried again: ValidationError"):
        grading.run(replace(runtime, settings=settings), project, "live")
    others = {uid: state for uid, state in states(engine).items() if uid != uids[3]}
    assert set(others.values()) == {"graded"}
    execute(engine, "UPDATE batches SET due_at = now() WHERE state = 'waiting'")
    said = drain(runtime, project)
    assert f"batch {uids[3]} is dead" in said[-1]
    poisoned = batch(engine, project, uids[3])
    assert (poisoned.state, poisoned.attempts, poisoned.counts["dead"]) == ("dead", 3, 10)
    assert poisoned.error is not None
    assert poisoned.error.startswith("ValidationError: ")
    row = books(engine, project)
    assert (row.graded, row.dead) == (60, 10)


def test_a_lost_body_kills_its_batch(engine: Engine, runtime: Runtime) -> None:
    project = make_project(engine)
    first, second = accept(engine, project, [answer("c", "r", "a")], [answer("c", "s", "a")])
    execute(engine, "DELETE FROM payloads WHERE batch_id = (SELECT min(id) FROM batches)")
    drain(runtime, project)
    assert states(engine) == {first: "dead", second: "graded"}
    assert batch(engine, project, first).error == f"MissingPayloadError: the body of batch {first} is gone"
    books(engine, project)


def test_one_bad_answer_dies_alone_and_can_be_revived(engine: Engine, runtime: Runtime) -> None:
    project = make_project(engine)
    answers = crowd(2)[:40]
    answers[17] = answer("poison", "r", "a")
    (uid,) = accept(engine, project, answers)
    corrupt(engine, uid, "poison", "poi\\u0000son")
    said = drain(runtime, project)
    assert "1 of its answers are dead" in said[-1]
    row = books(engine, project)
    assert (row.graded, row.dead) == (39, 1)
    with engine.connect() as connection:
        dead = connection.execute(text("SELECT * FROM failures")).one()
    assert (dead.position, dead.state) == (17, "dead")
    assert "0x00" in dead.reason
    before = verdicts(engine, project)

    corrupt(engine, uid, "poi\\u0000son", "poison")
    with engine.begin() as connection:
        batches.retry(connection, project, uid)
    assert books(engine, project).waiting == 1
    assert drain(runtime, project) == []
    row = books(engine, project)
    assert (row.graded, row.dead) == (40, 0)
    after = verdicts(engine, project)
    assert {key: after[key] for key in before} == before
    assert set(after) - set(before) == {"poison"}


def test_answers_that_die_again_are_counted_once(engine: Engine, runtime: Runtime) -> None:
    project = make_project(engine)
    (uid,) = accept(engine, project, [answer("c", "r", "a"), answer("poison", "r", "a"), answer("d", "r", "nonsense")])
    corrupt(engine, uid, "poison", "poi\\u0000son")
    drain(runtime, project)
    for _ in range(2):
        row = books(engine, project)
        assert (row.graded, row.dead, row.rejected) == (1, 1, 1)
        with engine.begin() as connection:
            batches.retry(connection, project, uid)
        row = books(engine, project)
        assert (row.graded, row.waiting, row.rejected) == (1, 1, 1)
        drain(runtime, project)
    assert batch(engine, project, uid).state == "dead"  # what was left of it is bad altogether
    with engine.begin() as connection:
        batches.retry(connection, project, uid)
        batches.cancel(connection, project, uid)
    row = books(engine, project)
    assert (row.graded, row.cancelled, row.rejected) == (1, 1, 1)


def test_a_dead_batch_is_revived_without_doubling(engine: Engine, runtime: Runtime) -> None:
    project = make_project(engine)
    (uid,) = accept(engine, project, crowd(3)[:20])
    corrupt(engine, uid, '{"answers":', '{"nothing":')
    drain(runtime, project)
    assert books(engine, project).dead == 20
    corrupt(engine, uid, '{"nothing":', '{"answers":')
    with engine.begin() as connection:
        batches.retry(connection, project, uid)
    revived = batch(engine, project, uid)
    assert (revived.state, revived.attempts, revived.error) == ("waiting", 0, None)
    drain(runtime, project)
    assert books(engine, project).graded == 20


POINTS = [
    ("INSERT ON challenges", "true"),
    ("INSERT ON sheets", "true"),
    ("UPDATE ON consensus", "true"),
    ("UPDATE ON respondent_statistics", "true"),
    ("UPDATE ON batches", "NEW.state = 'graded'"),
]


@pytest.mark.parametrize(("event", "when"), POINTS, ids=[event for event, _ in POINTS])
@pytest.mark.parametrize("action", [TERMINATE, fail("40001"), fail("40P01")], ids=["lost", "serialization", "deadlock"])
def test_what_passes_by_itself_is_tried_again_at_once(
    engine: Engine, runtime: Runtime, event: str, when: str, action: str
) -> None:
    project = make_project(engine)
    answers = crowd(4)[:30]
    uids = accept(engine, project, *split(answers, 10))
    with fault(engine, event, action, times=2, when=when):
        grading.run(runtime, project, "live")
    assert states(engine) == dict.fromkeys(uids, "graded")
    assert books(engine, project).graded == len(answers)
    with engine.connect() as connection:
        assert scalar(connection, "SELECT max(attempts) FROM batches") == 1


def test_a_conflict_that_does_not_pass_gives_the_batch_back(engine: Engine, runtime: Runtime) -> None:
    project = make_project(engine)
    (uid,) = accept(engine, project, [answer("c", "r", "a")])
    with fault(engine, "INSERT ON sheets", fail("40001"), times=faults_per_claim()):
        with pytest.raises(faults.GradingFailedError, match="waits to be tried again: SerializationFailure"):
            grading.run(runtime, project, "live")
        drain(runtime, project)
    assert batch(engine, project, uid).attempts == 2
    assert books(engine, project).graded == 1


def test_conflicts_while_looking_for_the_bad_answer_blame_no_good_one(engine: Engine, runtime: Runtime) -> None:
    project = make_project(engine)
    answers = crowd(5)[:8]
    answers[5] = answer("poison", "r", "a")
    (uid,) = accept(engine, project, answers)
    corrupt(engine, uid, "poison", "poi\\u0000son")
    with fault(engine, "INSERT ON sheets", fail("40P01"), times=3):
        drain(runtime, project)
    row = books(engine, project)
    assert (row.graded, row.dead) == (7, 1)


def test_a_claim_lost_while_grading_changes_nothing(engine: Engine, runtime: Runtime) -> None:
    project = make_project(engine)
    accept(engine, project, *split(crowd(6)[:30], 10))
    steal = "UPDATE batches SET lease_until = clock_timestamp() WHERE state = 'claimed'"
    with fault(engine, "INSERT ON sheets", steal, times=1):
        grading.run(runtime, project, "live")
    row = books(engine, project)
    assert (row.graded, row.waiting) == (0, 30)
    with engine.connect() as connection:
        assert scalar(connection, "SELECT sum(cardinality(counts)) FROM respondent_statistics") == 0
        assert scalar(connection, "SELECT count(*) FROM answers") == 0
    execute(engine, "UPDATE batches SET lease_until = now()")
    with engine.begin() as connection:
        assert claims.expire(connection, 5) == (3, 0)
    drain(runtime, project)
    assert books(engine, project).graded == 30


def test_a_commit_whose_reply_is_lost_is_not_done_twice(engine: Engine, runtime: Runtime) -> None:
    """The whole slice again, under the same claim, after it has been committed."""
    project = make_project(engine)
    accept(engine, project, crowd(7)[:10])
    with engine.begin() as connection:
        claim = claims.claim(connection, project, "live", batches=64, answers=1000, lease=30)
    assert claim is not None

    def grade(*args: object, **kwargs: object) -> None:
        grading.grade(runtime, project, claim, claim.batches, {})
        grading.grade(runtime, project, claim, claim.batches, {})

    assert faults.isolate(runtime, claim, grade) == []
    assert books(engine, project).graded == 10


SHORTAGES = ["53100", "53200", "53300", "53400"]
"""Disk full, out of memory, too many connections, a configured limit."""


def attempts(engine: Engine) -> list[int]:
    """Attempts of each batch that waits."""
    with engine.connect() as connection:
        return list(connection.execute(text("SELECT attempts FROM batches WHERE state = 'waiting'")).scalars())


@pytest.mark.parametrize("code", SHORTAGES)
@pytest.mark.parametrize(("event", "when"), POINTS, ids=[event for event, _ in POINTS])
def test_a_shortage_is_no_attempt_and_passes_when_there_is_room(
    engine: Engine, runtime: Runtime, event: str, when: str, code: str
) -> None:
    project = make_project(engine)
    uids = accept(engine, project, *split(crowd(8)[:30], 10))
    with fault(engine, event, fail(code), times=10_000, when=when):
        for _ in range(3 * runtime.settings.max_attempts):
            execute(engine, "UPDATE batches SET due_at = now()")
            with pytest.raises(faults.GradingFailedError):
                grading.run(runtime, project, "live")
            assert attempts(engine) == [0, 0, 0]
        row = books(engine, project)
        assert (row.graded, row.waiting, row.dead) == (0, 30, 0)
        with engine.connect() as connection:
            said = connection.execute(text("SELECT DISTINCT error FROM batches")).scalars().all()
        assert [error.partition(":")[2] for error in said] == [" a fault of the test"]
    drain(runtime, project)
    assert states(engine) == dict.fromkeys(uids, "graded")
    assert books(engine, project).graded == 30


def test_a_full_disk_halves_no_claim_and_ends_the_slice(engine: Engine, runtime: Runtime) -> None:
    project = make_project(engine)
    accept(engine, project, *split(crowd(9)[:80], 10))
    one = replace(runtime, settings=runtime.settings.model_copy(update={"claim_batches": 4, "slice_ms": 60_000}))
    with fault(engine, "INSERT ON sheets", fail("53100"), times=10_000):
        with pytest.raises(faults.GradingFailedError, match="4 batches wait until there is room: DiskFull"):
            grading.run(one, project, "live")
        with engine.connect() as connection:
            assert scalar(connection, "SELECT last_value FROM fault_count") == 1
    drain(runtime, project)
    assert books(engine, project).graded == 80


def test_what_needs_less_memory_is_graded_and_the_rest_is_no_attempt(engine: Engine, runtime: Runtime) -> None:
    project = make_project(engine)
    uids = accept(engine, project, *split(crowd(10)[:40], 10))
    big = "NEW.batch_id = (SELECT max(id) FROM batches)"
    with (
        fault(engine, "INSERT ON sheets", f"IF {big} THEN {fail('53200')}; END IF", times=10_000),
        pytest.raises(faults.GradingFailedError, match="1 batches wait until there is room: OutOfMemory"),
    ):
        grading.run(runtime, project, "live")
    assert states(engine) == dict.fromkeys(uids, "graded") | {uids[-1]: "waiting"}
    assert attempts(engine) == [0]
    drain(runtime, project)
    assert books(engine, project).graded == 40


def test_a_shortage_while_looking_for_the_bad_answer_blames_none(engine: Engine, runtime: Runtime) -> None:
    project = make_project(engine)
    answers = crowd(11)[:8]
    answers[5] = answer("poison", "r", "a")
    (uid,) = accept(engine, project, answers)
    corrupt(engine, uid, "poison", "poi\\u0000son")
    execute(engine, "UPDATE batches SET attempts = :last", last=runtime.settings.max_attempts - 1)
    with fault(engine, "INSERT ON sheets", fail("53100"), times=1):
        with pytest.raises(faults.GradingFailedError, match="until there is room"):
            grading.run(runtime, project, "live")
        assert attempts(engine) == [runtime.settings.max_attempts - 1]
        drain(runtime, project)
    row = books(engine, project)
    assert (row.graded, row.dead) == (7, 1)


def test_waits_grow_while_a_shortage_lasts(engine: Engine, runtime: Runtime, settings: Settings) -> None:
    project = make_project(engine)
    accept(engine, project, *([answer("c", f"r{number}", "a")] for number in range(3)))
    execute(
        engine,
        "UPDATE batches SET accepted_at = accepted_at - make_interval(secs => 10 * (id - first))"
        " FROM (SELECT min(id) AS first FROM batches) AS b",
    )
    with engine.begin() as connection:
        claim = claims.claim(connection, project, "live", batches=64, answers=1000, lease=30)
    assert claim is not None
    with engine.begin() as connection:
        waits = sorted(claims.release_untried(connection, claim, error="full", share=0.5, least=1, most=6))
    for wait, middle in zip(waits, (1, 5, 6), strict=True):
        assert 0.5 * middle <= wait <= 1.5 * middle + 1
    assert attempts(engine) == [0, 0, 0]


def test_giving_back_waits_for_room_too(engine: Engine, runtime: Runtime) -> None:
    project = make_project(engine)
    accept(engine, project, [answer("c", "r", "a")])
    with (
        fault(engine, "UPDATE ON batches", fail("53100"), times=3, when="NEW.state <> 'claimed'"),
        pytest.raises(faults.GradingFailedError, match="1 batches wait until there is room"),
    ):
        grading.run(runtime, project, "live")
    assert attempts(engine) == [0]


def faults_per_claim() -> int:
    """Failing tries before a batch is given back."""
    from workers import retries

    return retries.TRIES


def test_an_open_project_may_begin_with_skips(engine: Engine, runtime: Runtime) -> None:
    project = make_project(engine, "", classes_open=True)
    skips: list[Answer] = [{"challenge": "c", "respondent": respondent, "skip": True} for respondent in "rs"]
    (uid,) = accept(engine, project, skips)
    drain(runtime, project)
    assert states(engine) == {uid: "graded"}
    with engine.connect() as connection:
        assert scalar(connection, "SELECT count(*) FROM consensus WHERE skips = 2 AND answer IS NULL") == 1
    accept(engine, project, [answer("c", "t", "b"), answer("c", "u", "a"), answer("d", "r", "b")])
    drain(runtime, project)
    assert books(engine, project).graded == 5


def test_a_claim_that_nobody_has_heard_of_keeps_nobody_out(
    engine: Engine, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = make_project(engine)
    accept(engine, project, [answer("c", "r", "a")])
    ask, lost = transactions.ask_alone, [True]

    def deaf(*given: Any, **named: Any) -> list[Any]:
        found = ask(*given, **named)
        if lost.pop() if lost else False:
            raise OperationalError("COMMIT", {}, Exception("the connection is lost"), connection_invalidated=True)
        return found

    monkeypatch.setattr(transactions, "ask_alone", deaf)
    with pytest.raises(OperationalError):
        grading.run(runtime, project, "live")
    assert attempts(engine) == [0]
    grading.run(runtime, project, "live")
    assert books(engine, project).graded == 1
