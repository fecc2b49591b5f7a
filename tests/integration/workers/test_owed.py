"""Statistics that turns owe: at every commit row and debt say together what holds, whoever asks, and all is paid."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest
from sqlalchemy import Engine, text

from config.settings import Settings
from db import owed, runs
from db.owed import Owed
from db.questions import Question
from tests.integration.workers.crowd import (
    Answer,
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
)
from workers import debts, explain, payment, refit, regrade, revisit, standing, sweep
from workers.runtime import Runtime
from workers.shelf import Shelf

ANSWERS = crowd(21)
EARLY, LATE = ANSWERS[: len(ANSWERS) // 2], ANSWERS[len(ANSWERS) // 2 :]

Act = Callable[[Runtime, int], object]


@pytest.fixture
def indebted(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> Runtime:
    """A worker that owes whatever it moves, pays slowly, and waits for nobody to be quiet."""
    monkeypatch.setattr(debts, "LEAST", 1)
    monkeypatch.setattr(payment, "QUIET", 0.0)
    return replace(runtime, settings=runtime.settings.model_copy(update={"debts_from": 1}))


@pytest.fixture
def other(quick: Settings) -> Iterator[Runtime]:
    """Another worker, which remembers nothing."""
    made = Runtime.open(quick.model_copy(update={"debts_from": 1}), name="other-worker")
    yield made
    made.close()


@pytest.fixture
def project(engine: Engine, indebted: Runtime) -> int:
    made = make_project(engine)
    grade(engine, indebted, made, EARLY[:20])
    gild(engine, made, {f"c{number}": "abc"[number % 3] for number in range(0, 30, 5)})
    regrade.run(indebted, made)
    grade(engine, indebted, made, EARLY[20:])
    assert owes(engine)
    return made


def grade(engine: Engine, runtime: Runtime, project: int, answers: Sequence[Answer]) -> None:
    """In many claims, with the books balanced behind each."""
    for batch in split(answers, 20):
        accept(engine, project, batch)
        assert drain(runtime, project) == []
        books(engine, project)


def owes(engine: Engine) -> bool:
    with engine.connect() as connection:
        return bool(scalar(connection, "SELECT bool_or(paid < number) FROM turns"))


def told(engine: Engine) -> int:
    """Answers that the rows know of."""
    with engine.connect() as connection:
        return int(scalar(connection, "SELECT sum(answers) FROM respondent_statistics"))


def test_rows_lag_until_they_are_paid(engine: Engine, indebted: Runtime, project: int) -> None:
    assert told(engine) < len(EARLY)
    before = books(engine, project)
    payment.run(indebted, project)
    assert told(engine) == len(EARLY)
    assert not owes(engine)
    assert books(engine, project) == before
    with engine.connect() as connection:
        accuracies = "SELECT count(*) FROM respondent_statistics WHERE accuracy IS NULL OR turn = 0"
        assert scalar(connection, accuracies) == 0
    payment.run(indebted, project)  # nothing is left to be paid
    grade(engine, indebted, project, LATE)


def test_a_turn_pays_some_of_those_who_have_waited_longest(
    engine: Engine, indebted: Runtime, project: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(debts, "MOVES", 20)
    monkeypatch.setattr(debts, "BLOCK", 1)
    with engine.connect() as connection:
        before = scalar(connection, "SELECT paid FROM turns")
    grade(engine, indebted, project, LATE)
    with engine.connect() as connection:
        number, paid = scalar(connection, "SELECT number FROM turns"), scalar(connection, "SELECT paid FROM turns")
    assert before < paid < number


def test_few_are_written_at_once(engine: Engine, runtime: Runtime) -> None:
    project = make_project(engine)
    grade(engine, runtime, project, EARLY)
    assert told(engine) == len(EARLY)
    assert not owes(engine)


def fit(runtime: Runtime, project: int) -> None:
    with runtime.engine.begin() as connection:
        runs.request(connection, project, "requested")
    refit.run(runtime, project)


def look_again(runtime: Runtime, project: int) -> None:
    revisit.run(runtime, project, revisit.Round())


def follow_gold(runtime: Runtime, project: int) -> None:
    gild(runtime.engine, project, {"c1": "a", "c5": "b"})
    regrade.run(runtime, project)


def take_over(runtime: Runtime, project: int) -> None:
    grade(runtime.engine, runtime, project, [answer("c2", f"r{number}", "a") for number in range(5)])


@pytest.mark.parametrize("act", [fit, look_again, follow_gold, take_over, payment.run])
def test_others_see_what_is_owed_and_are_seen(
    engine: Engine,
    indebted: Runtime,
    other: Runtime,
    project: int,
    act: Act,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if act is look_again:  # which pays before, while nobody is at the project
        monkeypatch.setattr(payment, "QUIET", 60.0)
    for batches in split(LATE, 60):
        act(other, project)
        books(engine, project)
        grade(engine, indebted, project, batches)
    act(other, project)
    monkeypatch.setattr(payment, "QUIET", 0.0)
    payment.run(other, project)
    books(engine, project)
    assert not owes(engine)


def test_who_was_paid_by_another_is_owed_anew(engine: Engine, indebted: Runtime, other: Runtime, project: int) -> None:
    grade(engine, indebted, project, LATE[:40])
    payment.run(other, project)
    look_again(indebted, project)  # which finds that nothing is owed
    grade(engine, indebted, project, LATE[40:])
    payment.run(other, project)
    books(engine, project)
    assert told(engine) == len(ANSWERS)


def test_classes_that_come_while_something_is_owed(engine: Engine, indebted: Runtime, other: Runtime) -> None:
    project = make_project(engine, (), classes_open=True)
    for number, name in enumerate("bac"):
        grade(engine, indebted, project, [answer(f"c{n}", f"r{n % 7}", name) for n in range(number, 25)])
        assert owes(engine)
    look_again(other, project)
    payment.run(other, project)
    books(engine, project)
    assert not owes(engine)


def test_a_worker_that_has_forgotten_finds_out_whom_it_owes(engine: Engine, indebted: Runtime, project: int) -> None:
    indebted.memory.of(project).forget()
    grade(engine, indebted, project, LATE[:20])
    with engine.connect() as connection:
        paid, number = scalar(connection, "SELECT paid FROM turns"), scalar(connection, "SELECT number FROM turns")
    assert paid < number - 1  # it has found out whom it owes, and goes on paying in turn


def test_who_may_be_forgotten_soon_is_owed_nothing(
    engine: Engine, indebted: Runtime, project: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Shelf, "pressed", True)
    monkeypatch.setattr(debts, "HURRY", 2)
    grade(engine, indebted, project, LATE)
    assert told(engine) == len(ANSWERS)
    assert not owes(engine)


@pytest.mark.parametrize("much", [1000, 5], ids=["at once", "as they come"])
def test_a_worker_that_takes_over_reads_once_what_is_owed(
    engine: Engine, indebted: Runtime, other: Runtime, monkeypatch: pytest.MonkeyPatch, much: int
) -> None:
    monkeypatch.setattr(standing, "MUCH", much)
    other.connect()
    read: list[int] = []
    ask = owed.question

    def counted(project_id: int) -> Question[list[Owed]]:
        read.append(project_id)
        return ask(project_id)

    project = make_project(engine)
    grade(engine, indebted, project, [answer(f"c{number}", f"r{number}", "a") for number in range(40)])
    monkeypatch.setattr(owed, "question", counted)
    accept(engine, project, [answer("new", "stranger", "a")])
    assert drain(other, project) == []  # it finds out whom the project owes, and pays the first of them
    for number in range(0, 40, 10):  # nobody whom another of these claims has to do with
        accept(engine, project, [answer(f"d{number}", f"r{number}", "b")])
        assert drain(other, project) == []
    assert len(read) == 1 if much > 500 else len(read) >= 5
    books(engine, project)
    payment.run(other, project)
    books(engine, project)
    assert told(engine) == 45


def test_the_sweep_has_an_idle_project_paid_for(
    engine: Engine, indebted: Runtime, other: Runtime, project: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(payment, "QUIET", 60.0)
    assert sweep.run(other).revisits == ()  # answers have just come in: who grades them pays
    monkeypatch.setattr(payment, "QUIET", 0.0)
    assert sweep.run(other).revisits == (project,)
    look_again(other, project)
    assert sweep.run(other).revisits == ()
    assert not owes(engine)
    books(engine, project)


def test_who_is_forgotten_while_owed_is_paid_in_full(
    engine: Engine, indebted: Runtime, project: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those who are due have no answers in the claim, and nothing is remembered of them."""
    for number in range(8):
        recall = indebted.memory.of(project)
        with engine.connect() as connection:
            ids = np.array(connection.scalars(text("SELECT id FROM respondents ORDER BY id")).all())
        recall.drop(np.empty(0, dtype=np.int64), ids)
        monkeypatch.setattr(debts, "LEAST", 2)
        grade(engine, indebted, project, [answer(f"new-{number}", f"newcomer-{number}", "a")])
    payment.run(indebted, project)
    books(engine, project)


def test_explanations_know_what_is_owed(engine: Engine, indebted: Runtime, project: int) -> None:
    with engine.connect() as connection:
        challenge = scalar(connection, "SELECT id FROM challenges WHERE key = 'c1'")
    before = explain.read(indebted, project, challenge)
    payment.run(indebted, project)
    after = explain.read(indebted, project, challenge)
    assert before is not None
    assert after is not None
    np.testing.assert_array_equal(before.statistics.clamped, after.statistics.clamped)
    np.testing.assert_array_equal(before.statistics.open, after.statistics.open)


def test_what_is_owed_is_kept_however_many_turns_go_by(
    engine: Engine, indebted: Runtime, project: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("db.turns.KEPT", 2)
    monkeypatch.setattr(debts, "LEAST", 0)
    execute(engine, "DELETE FROM moves WHERE owed IS NULL")
    grade(engine, indebted, project, LATE[:100])
    payment.run(indebted, project)
    books(engine, project)
    grade(engine, indebted, project, LATE[100:160])
    with engine.connect() as connection:
        assert scalar(connection, "SELECT count(*) FROM moves") <= 5
