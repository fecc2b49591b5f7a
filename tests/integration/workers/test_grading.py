"""Live grading on a real database: everything accepted is graded once, whatever arrives in whatever order."""

import random
import threading
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from typing import Literal

import pytest
from sqlalchemy import Engine, text

from config.settings import Settings
from db import projects
from tests.integration.workers.crowd import (
    accept,
    answer,
    books,
    crowd,
    drain,
    execute,
    make_project,
    new_batch,
    scalar,
    split,
    states,
    store,
    verdicts,
)
from tests.integration.workers.faulty import fail, fault
from tests.locks import waiting_for_locks
from tests.waiting import until
from workers import grading, refit, turns
from workers.ahead import ALONE
from workers.runtime import NOTHING_LEFT, Runtime


def test_every_answer_is_in_the_ledger(engine: Engine, runtime: Runtime) -> None:
    project = make_project(engine)
    answers = crowd(1)
    uids = accept(engine, project, *split(answers, 20))
    assert books(engine, project).waiting == len(answers)
    assert drain(runtime, project) == []
    row = books(engine, project)
    assert (row.accepted, row.graded, row.waiting) == (len(answers), len(answers), 0)
    assert states(engine) == dict.fromkeys(uids, "graded")


def test_a_slice_goes_on_while_nothing_else_waits(engine: Engine, runtime: Runtime) -> None:
    project = make_project(engine)
    accept(engine, project, *split(crowd(1), 5))
    short = runtime.settings.model_copy(update={"slice_ms": 200, "claim_batches": 2})
    assert grading.run(replace(runtime, settings=short), project, "live").doors == ()
    assert not books(engine, project).waiting


def test_an_empty_door_is_nothing_to_do(engine: Engine, runtime: Runtime) -> None:
    assert grading.run(runtime, make_project(engine), "live") == NOTHING_LEFT


def test_lanes_are_apart(engine: Engine, runtime: Runtime) -> None:
    project = make_project(engine)
    accept(engine, project, [answer("c", "r", "a")], lane="bulk")
    grading.run(runtime, project, "live")
    assert books(engine, project).waiting == 1
    grading.run(runtime, project, "bulk")
    assert books(engine, project).graded == 1


def test_a_slice_that_ends_with_work_left_says_so(engine: Engine, settings: Settings) -> None:
    short = settings.model_copy(update={"slice_ms": 1, "claim_batches": 1, "stall": 0.1})
    with closing(Runtime.open(short)) as runtime:
        project = make_project(engine)
        accept(engine, project, *split(crowd(2), 1))  # many more claims than fit into the longest slice
        left = grading.run(runtime, project, "live")
        assert (left.doors, left.staying) == (((project, "live"),), True)
        accept(engine, make_project(engine, name="another"), [answer("c", "r", "a")])
        left = grading.run(runtime, project, "live")
        assert (left.doors, left.staying) == (((project, "live"),), False)


class Listener:
    """A door that only notes how many batches each claim had."""

    def __init__(self, *, closing: bool = False) -> None:
        self.closing = closing
        self.claims: list[int] = []

    def stay(self, *, knowing: bool) -> None: ...

    def leave(self) -> None: ...

    def tell(self, graded: Sequence[uuid.UUID]) -> None:
        self.claims.append(len(graded))


def test_a_flood_goes_on_with_claims_as_large_as_before(
    engine: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grading, "MUCH", 1)
    monkeypatch.setattr(grading, "LONGEST", 0)  # a slice does not become longer: one claim, or two
    short = settings.model_copy(update={"slice_ms": 1, "claim_batches": 1})
    with closing(Runtime.open(short)) as runtime:
        project = make_project(engine)
        accept(engine, project, *split(crowd(2), 1))
        first = []
        for elsewhere in (False, False, True):
            if elsewhere:
                accept(engine, make_project(engine, name="another"), [answer("c", "r", "a")])
            listener = Listener()
            grading.run(runtime, project, "live", listener)
            first.append(listener.claims[0])
    assert first == [1, ALONE, 1]


@pytest.mark.parametrize("leaving", [False, True])
def test_a_slice_grows_while_nothing_else_waits_and_the_worker_stays(
    engine: Engine, settings: Settings, leaving: bool
) -> None:
    short = settings.model_copy(update={"slice_ms": 1, "claim_batches": 1})
    with closing(Runtime.open(short)) as runtime:
        project = make_project(engine)
        accept(engine, project, *split(crowd(2), 1))
        listener = Listener(closing=leaving)
        left = grading.run(runtime, project, "live", listener)
    assert bool(left.doors) == leaving


@pytest.mark.parametrize("model", ["touchstone", "dawid-skene", "majority"])
@pytest.mark.parametrize(("classes", "form"), [("abc", "full"), ([f"k{n:02}" for n in range(40)], "coin")])
def test_statistics_equal_a_recount(
    engine: Engine, runtime: Runtime, classes: list[str], form: str, model: str
) -> None:
    project = make_project(engine, classes, form=form, model=model)
    answers = crowd(3, classes=classes)
    for body in split(answers, 25):
        accept(engine, project, body)
        drain(runtime, project)
    assert books(engine, project).graded == len(answers)
    accuracy = "SELECT count(*) FROM respondent_statistics WHERE low <= accuracy AND accuracy <= high AND low < high"
    with engine.connect() as connection:
        assert scalar(connection, accuracy) == 9


@pytest.mark.parametrize("policy", ["first", "last", "all"])
def test_books_balance_through_repeats_late_answers_and_refits(engine: Engine, runtime: Runtime, policy: str) -> None:
    project = make_project(engine, repeats=policy)
    rng = random.Random(policy)
    answers = [
        answer(f"c{rng.randrange(6)}", f"r{rng.randrange(4)}", rng.choice("abc"), rng.randrange(60)) for _ in range(200)
    ]
    for place, body in enumerate(split(answers, 20)):
        accept(engine, project, body)
        drain(runtime, project)
        if place % 3 == 2:
            refit_now(engine, runtime, project)
        row = books(engine, project)
        assert row.graded + row.superseded == 20 * (place + 1)
    expected = {"first": 24, "last": 24, "all": len({(a["challenge"], a["respondent"], a["answer"]) for a in answers})}
    assert row.graded == expected[policy]


@pytest.mark.parametrize(("policy", "winner"), [("first", "a"), ("last", "c")])
def test_when_an_answer_was_given_decides_not_when_it_was_claimed(
    engine: Engine, runtime: Runtime, policy: str, winner: str
) -> None:
    project = make_project(engine, repeats=policy)
    for choice, minute in (("b", 2), ("c", 3), ("a", 1)):
        accept(engine, project, [answer("c", "r", choice, minute)])
        drain(runtime, project)
    assert verdicts(engine, project)["c"].answer == winner
    assert (books(engine, project).graded, books(engine, project).superseded) == (1, 2)


def test_without_times_the_accept_sequence_decides(engine: Engine, runtime: Runtime) -> None:
    project = make_project(engine, repeats="first")
    accept(engine, project, [answer("c", "r", "a")])
    accept(engine, project, [answer("c", "r", "b")])
    execute(engine, "UPDATE batches SET accepted_at = (SELECT min(accepted_at) FROM batches)")
    execute(engine, "UPDATE batches SET due_at = now() + '1 hour' WHERE id = (SELECT min(id) FROM batches)")
    grading.run(runtime, project, "live")
    assert verdicts(engine, project)["c"].answer == "b"
    execute(engine, "UPDATE batches SET due_at = now() WHERE state = 'waiting'")
    drain(runtime, project)
    assert verdicts(engine, project)["c"].answer == "a"
    books(engine, project)


def test_an_answer_that_confirms_leaves_earlier_respondents_alone(engine: Engine, runtime: Runtime) -> None:
    project = make_project(engine)
    many = [answer(f"c{n % 30}", f"r{n // 30}", "ab"[n % 2]) for n in range(240)]
    accept(engine, project, *split(many, 30))
    drain(runtime, project)
    for new, moved in (
        ([answer("c0", "late", "a")], 1),
        ([answer("new", "first", "a")], 1),
        ([answer("new", "second", "b")], 2),
    ):
        accept(engine, project, new)
        drain(runtime, project)
        with engine.connect() as connection:
            since = (
                "SELECT count(*) FROM respondent_statistics WHERE updated_at > (SELECT max(accepted_at) FROM batches)"
            )
            assert scalar(connection, since) == moved
    assert books(engine, project).graded == len(many) + 3


def test_a_batch_of_nothing_but_repeats(engine: Engine, runtime: Runtime) -> None:
    project = make_project(engine, repeats="first")
    for _ in range(2):
        accept(engine, project, [answer("c", "r", "a", 1), answer("d", "r", "b", 1)])
        drain(runtime, project)
    row = books(engine, project)
    assert (row.graded, row.superseded) == (2, 2)


def test_a_superseded_repeat_leaves_a_final_verdict_final(engine: Engine, runtime: Runtime) -> None:
    project = make_project(engine, repeats="first")
    accept(engine, project, [answer("c", "r", "a", 1), answer("c", "s", "a", 1), answer("d", "r", "b", 1)])
    drain(runtime, project)
    refit_now(engine, runtime, project)
    before = verdicts(engine, project)
    assert before["c"].final
    assert before["d"].final
    accept(engine, project, [answer("c", "r", "b", 2)])
    drain(runtime, project)
    assert verdicts(engine, project) == before


def test_a_late_answer_that_counts_makes_a_verdict_provisional(engine: Engine, runtime: Runtime) -> None:
    project = make_project(engine, repeats="first")
    accept(engine, project, [answer("c", "r", "a", 5), answer("d", "r", "b", 5)])
    drain(runtime, project)
    refit_now(engine, runtime, project)
    accept(engine, project, [answer("c", "r", "b", 4)])
    drain(runtime, project)
    after = verdicts(engine, project)
    assert (after["c"].final, after["c"].answer) == (False, "b")
    assert after["d"].final
    books(engine, project)


def test_open_classes_are_appended(engine: Engine, runtime: Runtime) -> None:
    project = make_project(engine, (), classes_open=True)
    for choice in ("z", "a", "m"):
        accept(engine, project, [answer("c", f"r{choice}", choice), answer("d", "r", choice)])
        drain(runtime, project)
        books(engine, project)
    with engine.connect() as connection:
        classes = "SELECT array_agg(key ORDER BY code) FROM project_classes"
        assert scalar(connection, classes) == ["z", "a", "m"]


@pytest.mark.parametrize("model", ["touchstone", "dawid-skene", "majority"])
@pytest.mark.parametrize("form", ["full", "coin"])
def test_one_class_alone_is_certain(engine: Engine, runtime: Runtime, model: str, form: str) -> None:
    project = make_project(engine, (), classes_open=True, model=model, form=form)
    accept(engine, project, [answer("c", "r", "a"), answer("d", "r", "a"), answer("d", "s", "a")])
    assert drain(runtime, project) == []
    refit_now(engine, runtime, project)
    assert {v.confidence for v in verdicts(engine, project).values()} == {1.0}
    books(engine, project)


def test_too_many_classes_are_rejected_with_their_reason(engine: Engine, runtime: Runtime) -> None:
    project = make_project(engine, (), classes_open=True, max_classes=2)
    accept(
        engine, project, [answer("c", "r", "a"), answer("c", "s", "b"), answer("c", "t", "z"), answer("d", "t", "y")]
    )
    drain(runtime, project)
    row = books(engine, project)
    assert (row.graded, row.rejected) == (2, 2)
    with engine.connect() as connection:
        reason = scalar(connection, "SELECT reason FROM failures WHERE position = 2")
    assert reason == 'answer: "z" is not one of the project\'s 2 classes'


def test_a_claim_whose_answers_are_all_rejected_is_graded(engine: Engine, runtime: Runtime) -> None:
    project = make_project(engine, "ab")
    (uid,) = accept(engine, project, [answer("c", "r", "x"), answer("c", "s", "y")])
    assert drain(runtime, project) == []
    assert states(engine) == {uid: "graded"}
    row = books(engine, project)
    assert (row.rejected, row.graded) == (2, 0)


def test_what_the_door_rejected_is_skipped(engine: Engine, runtime: Runtime) -> None:

    project = make_project(engine)
    body = [answer("c", "r", "a"), answer("c", "s", "nonsense"), answer("c", "t", "b")]
    with engine.begin() as connection:
        store(connection, [new_batch(project, body, rejected=[(1, "answer: unknown")])])
    assert books(engine, project).rejected == 1
    drain(runtime, project)
    row = books(engine, project)
    assert (row.accepted, row.graded, row.rejected) == (3, 2, 1)


@pytest.mark.parametrize(("open_", "classes"), [(False, "abc"), (True, "")], ids=["declared", "open"])
def test_two_workers_on_the_same_challenges(
    engine: Engine, settings: Settings, open_: bool, classes: Literal["abc", ""]
) -> None:
    project = make_project(engine, classes, classes_open=open_, repeats="first")
    bodies = []
    for seed in range(20):
        body = crowd(seed, challenges=12, respondents=5, classes="abcdefgh" if open_ else "abc")
        random.Random(seed).shuffle(body)
        bodies.append([{**a, "respondent": f"{a['respondent']}-{seed % 4}"} for a in body])
    accept(engine, project, *bodies)
    small = settings.model_copy(update={"claim_batches": 2, "retry_base": 0.001, "retry_max": 0.001})
    errors: list[BaseException] = []
    both = threading.Barrier(2)

    def work() -> None:
        runtime = Runtime.open(small)
        try:
            both.wait()
            assert drain(runtime, project) == []
        except BaseException as error:  # noqa: BLE001 - for the test's own thread to tell
            errors.append(error)
        finally:
            runtime.close()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert set(states(engine).values()) == {"graded"}
    row = books(engine, project)
    assert row.graded + row.superseded == row.accepted == sum(map(len, bodies))
    assert row.graded == len({(a["challenge"], a["respondent"]) for body in bodies for a in body})
    with engine.connect() as connection:
        assert scalar(connection, "SELECT max(attempts) FROM batches") == 1


def test_classes_met_by_another_worker_in_the_middle_of_a_slice(
    engine: Engine, runtime: Runtime, settings: Settings
) -> None:
    """One worker waits for its turn; meanwhile the challenge's row grows by a class that the worker does not know."""
    project = make_project(engine, (), classes_open=True)
    accept(engine, project, [answer("c", "r", "a"), answer("c", "s", "b")])
    drain(runtime, project)
    other = Runtime.open(settings)
    with ThreadPoolExecutor(1) as pool:
        with turns.taken(runtime, project) as turn:
            accept(engine, project, [answer("c", "t", "a"), answer("c", "r", "b")])
            slow = pool.submit(grading.run, other, project, "live")
            until(lambda: waiting_for_locks(engine, "touchstone-worker"), "a worker in the middle of its slice")
            projects.append_classes(turn.connection, project, ["new class"])
            turn.connection.execute(text("UPDATE consensus SET raw = raw || 0.0, posterior = posterior || 0.0"))
        assert slow.result().doors == ()
    other.close()
    assert books(engine, project).graded == 4
    with engine.connect() as connection:
        assert scalar(connection, "SELECT max(attempts) FROM batches") == 1


def test_two_workers_at_one_project_take_turns(engine: Engine, runtime: Runtime, settings: Settings) -> None:
    """Each forgets what the other has moved, and nothing else."""
    project = make_project(engine)
    answers = crowd(5)
    other = Runtime.open(settings)
    for number, some in enumerate(split(answers, 20)):
        accept(engine, project, some)
        assert drain((runtime, other)[number % 2], project) == []
        books(engine, project)
    other.close()
    assert books(engine, project).graded == len(answers)
    alone = make_project(engine, name="alone")
    for some in split(answers, 20):
        accept(engine, alone, some)
        drain(runtime, alone)
    assert verdicts(engine, alone) == verdicts(engine, project)


def test_turns_that_nobody_remembers(engine: Engine, runtime: Runtime, settings: Settings) -> None:
    project = make_project(engine)
    other = Runtime.open(settings)
    accept(engine, project, crowd(6))
    drain(runtime, project)
    for answers in split(crowd(7), 50):
        accept(engine, project, answers)
        drain(other, project)
    other.close()
    execute(engine, "DELETE FROM moves WHERE number = (SELECT max(number) FROM moves)")
    accept(engine, project, crowd(8))
    assert drain(runtime, project) == []
    books(engine, project)


def test_a_lock_that_cannot_be_had_is_asked_for_again(engine: Engine, runtime: Runtime) -> None:
    project = make_project(engine)
    accept(engine, project, [answer("c", "r", "a")])
    drain(runtime, project)
    with fault(engine, "UPDATE ON consensus", fail("55P03"), times=2):
        accept(engine, project, [answer("c", "s", "a")])
        assert drain(runtime, project) == []
    assert books(engine, project).graded == 2


def refit_now(engine: Engine, runtime: Runtime, project: int) -> None:
    from db import runs

    with engine.begin() as connection:
        runs.request(connection, project, "requested")
    refit.run(runtime, project)
