"""Turns that are worked out before they are taken: stored where they are right, done again where they are not."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine, text

from config.settings import Settings
from db import identities, transactions
from db.questions import Question
from tests.integration.workers.crowd import (
    accept,
    answer,
    books,
    crowd,
    drain,
    execute,
    gild,
    make_project,
    scalar,
    split,
    states,
)
from tests.integration.workers.faulty import TERMINATE, fail, fault
from tests.waiting import until
from workers import faults, grading, regrade, scores
from workers.ahead import Ahead, Ready
from workers.runtime import Runtime
from workers.turns import Foreseen, OvertakenError

EARLIER = (
    [answer("c", "r", "a"), answer("c", "s", "a"), answer("c", "t", "b")],
    [answer("d", "u", "b"), answer("d", "v", "b"), answer("d", "w", "a")],
)
LATE = [answer("c", "x", "a"), answer("c", "y", "b")]


def nothing() -> None: ...


@contextmanager
def foreseen(engine: Engine, runtime: Runtime, project: int) -> Iterator[Foreseen]:
    """The turn that grades LATE, which is claimed in the block."""
    accept(engine, project, LATE)
    with Ahead(runtime, project, "live") as ahead:
        ready = ahead.take()
        assert ready is not None
        found = grading.foresee(runtime, project, ready, nothing)
        assert found is not None
        yield found


@pytest.fixture
def project(engine: Engine, runtime: Runtime) -> int:
    runtime.connect()
    made = make_project(engine)
    accept(engine, made, *EARLIER)
    assert drain(runtime, made) == []
    return made


def let(engine: Engine, settings: Settings, act: Callable[[Runtime], object]) -> None:
    """Let another worker do something."""
    other = Runtime.open(settings)
    act(other)
    other.close()


def test_nothing_changes_before_it_is_stored(engine: Engine, runtime: Runtime, project: int) -> None:
    with foreseen(engine, runtime, project) as found:
        row = books(engine, project)
        assert (row.graded, row.waiting) == (6, 2)
        found.store(nothing)
    found.settle()
    assert books(engine, project).graded == 8
    accept(engine, project, [answer("c", "z", "a")])
    drain(runtime, project)  # by what is remembered of it
    assert books(engine, project).graded == 9


@pytest.mark.parametrize(("gold", "right"), [("d", True), ("c", False)])
def test_it_is_right_while_others_move_nothing_that_it_has_to_do_with(
    engine: Engine, runtime: Runtime, settings: Settings, project: int, gold: str, right: bool
) -> None:
    with foreseen(engine, runtime, project) as found:
        gild(engine, project, {gold: "a"})
        let(engine, settings, lambda other: regrade.run(other, project))
        if right:
            found.store(nothing)
            found.settle()
        else:
            with pytest.raises(OvertakenError):
                found.store(nothing)
            found.undo()
    if not right:
        execute(
            engine,
            "UPDATE batches SET state = 'waiting', claim_id = NULL, lease_until = NULL WHERE finished_at IS NULL",
        )
    accept(engine, project, [answer(challenge, "z", "a") for challenge in "cd"])
    assert drain(runtime, project) == []
    assert books(engine, project).graded == 10


NEW = [answer("new", "n", "a"), answer("c", "m", "b")]


def name(engine: Engine, project: int, key: str) -> None:
    """Let there be a challenge that nobody has answered and this worker has not met."""
    with engine.begin() as connection:
        identities.challenges(connection, project, [key])


@pytest.mark.parametrize("there", [False, True])
def test_what_was_named_for_it_is_known_without_being_read(
    engine: Engine, runtime: Runtime, project: int, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    if there:
        name(engine, project, "new")
        gild(engine, project, {"new": "b"})
        regrade.run(runtime, project)
    asked: list[Question[Any]] = []
    ask = transactions.ask_alone

    def counted(
        engine: Engine, questions: Sequence[Question[Any]], *settings: transactions.Settings, most: float
    ) -> list[Any]:
        asked.extend(questions)
        return ask(engine, questions, *settings, most=most)

    monkeypatch.setattr(transactions, "ask_alone", counted)
    accept(engine, project, NEW)
    with Ahead(runtime, project, "live") as ahead:
        ready = ahead.take()
        assert ready is not None
        asked.clear()
        found = grading.foresee(runtime, project, ready, nothing)
        assert found is not None
        assert asked == []
        found.store(nothing)
        found.settle()
    assert books(engine, project).graded == 8
    accept(engine, project, [answer("new", "o", "b"), answer("new", "p", "a")])
    assert drain(runtime, project) == []
    assert books(engine, project).graded == 10


@pytest.mark.parametrize("there", [False, True])
def test_what_others_have_moved_since_it_was_named_is_read(
    engine: Engine, runtime: Runtime, settings: Settings, project: int, there: bool
) -> None:
    if there:
        name(engine, project, "new")
    accept(engine, project, NEW)
    with Ahead(runtime, project, "live") as ahead:
        ready = ahead.take()
        assert ready is not None
        accept(engine, project, [answer("new", "n", "b"), answer("new", "o", "b")], lane="bulk")
        let(engine, settings, lambda other: grading.run(other, project, "bulk"))
        accept(engine, project, [answer("d", "x", "a")], lane="bulk")
        assert grading.run(runtime, project, "bulk") is not None  # a turn of its own behind the other's
        found = grading.foresee(runtime, project, ready, nothing)
        assert found is not None
        found.store(nothing)
        found.settle()
    row = books(engine, project)
    assert (row.graded, row.waiting) == (11, 0)
    with engine.connect() as connection:
        query = "SELECT answers FROM consensus JOIN challenges ON id = challenge_id WHERE key = 'new'"
        assert scalar(connection, query) == 3


def test_it_is_stored_while_it_is_worked_out(
    engine: Engine, runtime: Runtime, project: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Postgres has written statistics, and the consensus before, when the scores are found, which come last."""
    give, times = scores.give, []
    query = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND wait_event = 'ClientRead' AND query ~ 'UPDATE respondent_statistics'"
    )

    def late(*arguments: Any) -> None:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            until(lambda: scalar(connection, query), "statistics are written", limit=10)
        times.append("given")
        give(*arguments)

    monkeypatch.setattr(scores, "give", late)
    accept(engine, project, LATE)
    assert grading.run(runtime, project, "live").graded
    assert times == ["given"]
    assert books(engine, project).graded == 8


def test_what_cannot_be_worked_out_to_the_end_is_not_stored(
    engine: Engine, runtime: Runtime, project: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    give, failing = scores.give, iter([True, False])

    def fails(*arguments: Any) -> None:
        if next(failing):
            raise RuntimeError
        give(*arguments)

    monkeypatch.setattr(scores, "give", fails)
    accept(engine, project, LATE)
    assert drain(runtime, project) == []
    assert books(engine, project).graded == 8
    accept(engine, project, [answer("c", "z", "a")])
    monkeypatch.setattr(scores, "give", give)
    assert drain(runtime, project) == []
    assert books(engine, project).graded == 9


def test_what_was_foreseen_is_forgotten_when_the_slice_ends_before_it_is_known_to_be_stored(
    engine: Engine, runtime: Runtime, project: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else its answers would be remembered, and counted once more when they are graded."""
    take, taken = Ahead.take, iter([True, False])

    def fails(ahead: Ahead) -> Ready | None:
        if next(taken):
            return take(ahead)
        raise ConnectionError

    accept(engine, project, LATE)
    with monkeypatch.context() as patch, fault(engine, "INSERT ON sheets", fail("53100"), times=1):
        patch.setattr(Ahead, "take", fails)
        with pytest.raises(ConnectionError):
            grading.run(runtime, project, "live")
    assert drain(runtime, project) == []  # it was given back
    assert books(engine, project).graded == 8
    with engine.connect() as connection:
        assert scalar(connection, "SELECT max(attempts) FROM batches") == 1


def test_what_others_have_moved_is_forgotten_once(
    engine: Engine, runtime: Runtime, settings: Settings, project: int
) -> None:
    """Else a claim that moves it behind them would be forgotten with it, and its answers written over by the next."""
    with Ahead(runtime, project, "live") as ahead:

        def following(*answers: dict[str, str]) -> Foreseen:
            accept(engine, project, list(answers))
            ready = ahead.take()
            assert ready is not None
            found = grading.foresee(runtime, project, ready, nothing)
            assert found is not None
            return found

        first = following(answer("c", "x", "a"))
        gild(engine, project, {"d": "a"})
        let(engine, settings, lambda other: regrade.run(other, project))
        first.store(nothing)
        second = following(answer("c", "y", "b"))
        first.settle()
        second.store(nothing, first)
        third = following(answer("d", "x", "a"))
        second.settle()
        fourth = following(answer("d", "y", "b"))
        third.store(nothing, second)
        third.settle()
        fourth.store(nothing, third)
        fourth.settle()
    assert books(engine, project).graded == 10
    with engine.connect() as connection:
        query = "SELECT answers FROM consensus JOIN challenges ON id = challenge_id WHERE key = 'd'"
        assert scalar(connection, query) == 5


def test_a_class_that_nobody_knew_waits_for_the_turn_before(engine: Engine, runtime: Runtime) -> None:
    """What is remembered is of the classes before: to forget it would be to read what is not stored yet."""
    runtime.connect()
    project = make_project(engine, "ab", classes_open=True)
    accept(engine, project, EARLIER[0])
    assert drain(runtime, project) == []
    accept(engine, project, LATE)
    with Ahead(runtime, project, "live") as ahead:
        first = ahead.take()
        assert first is not None
        found = grading.foresee(runtime, project, first, nothing)
        assert found is not None
        accept(engine, project, [answer("c", "z", "another")])
        second = ahead.take()
        assert second is not None
        assert grading.foresee(runtime, project, second, nothing) is None
        found.store(nothing)
        found.settle()
        grading.grade(runtime, project, second.claim, second.claim.batches, {}, ready=second.intake)
    assert books(engine, project).graded == 6
    accept(engine, project, [answer("c", "zz", "another")])
    assert drain(runtime, project) == []
    assert books(engine, project).graded == 7


def test_a_position_of_the_feed_that_another_has_given_is_not_given_again(
    engine: Engine, runtime: Runtime, settings: Settings, project: int
) -> None:
    with foreseen(engine, runtime, project) as found:
        accept(engine, project, [answer("new", "n", "a")], lane="bulk")
        let(engine, settings, lambda other: grading.run(other, project, "bulk"))
        with pytest.raises(OvertakenError):
            found.store(nothing)
        found.undo()
    assert books(engine, project).graded == 7


def test_it_is_not_right_on_another_connection(engine: Engine, runtime: Runtime, project: int) -> None:
    """The server may be another one, that lacks the last commits."""
    with foreseen(engine, runtime, project) as found:
        runtime.engine.dispose()
        with pytest.raises(OvertakenError):
            found.store(nothing)


@pytest.mark.parametrize(
    ("event", "action"),
    [("UPDATE ON consensus", fail("40001")), ("UPDATE ON respondent_statistics", TERMINATE)],
    ids=["conflict", "lost connection"],
)
def test_what_is_not_stored_is_graded_again_and_so_is_what_was_foreseen_behind_it(
    engine: Engine, runtime: Runtime, project: int, event: str, action: str
) -> None:
    uids = accept(engine, project, *split(crowd(1), 7))
    small = replace(runtime, settings=runtime.settings.model_copy(update={"claim_batches": 2}))
    with fault(engine, event, action, times=1):
        assert drain(small, project) == []
    assert {states(engine)[uid] for uid in uids} == {"graded"}
    assert books(engine, project).graded == 6 + len(crowd(1))
    with engine.connect() as connection:
        assert scalar(connection, "SELECT max(attempts) FROM batches") == 1


def test_no_room_for_one_claim_gives_the_next_one_back_untried(engine: Engine, runtime: Runtime, project: int) -> None:
    accept(engine, project, *split(crowd(1), 7))
    small = replace(runtime, settings=runtime.settings.model_copy(update={"claim_batches": 2, "lease": 0.5}))
    with fault(engine, "INSERT ON sheets", fail("53100"), times=1000), pytest.raises(faults.GradingFailedError):
        grading.run(small, project, "live")
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM batches WHERE state = 'claimed'")).scalar() == 0
        assert scalar(connection, "SELECT max(attempts) FROM batches WHERE state = 'waiting'") == 0
    drain(runtime, project)
    assert books(engine, project).graded == 6 + len(crowd(1))
