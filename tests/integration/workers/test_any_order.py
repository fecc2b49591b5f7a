"""Posts, replays, deaths, clock jumps, sweeps, cancels, gold and refits in any order: the books always balance."""

import itertools
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import cast

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as examples
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError

from benchmarks.chaos.books import Faults, audit
from db import batches, claims, runs
from db.batches import NewBatch
from db.claims import Claim
from db.errors import ConflictError, StaleClaimError
from telemetry import crashpoints
from tests.integration.workers.crowd import (
    Answer,
    answer,
    books,
    drain,
    execute,
    gild,
    make_project,
    new_batch,
    scalar,
    store,
)
from workers import debts, grading, payment, refit, regrade, revisit, sweep
from workers.refit import RefitError
from workers.runtime import Runtime

CHALLENGES, RESPONDENTS, CLASSES = "uvwxyz", "ijklm", "abc"

_numbers = itertools.count()

answers = st.builds(answer, st.sampled_from(CHALLENGES), st.sampled_from(RESPONDENTS), st.sampled_from([*CLASSES, "?"]))
index = st.integers(0, 1000)


class DeadError(BaseException):
    """A process dies: nobody is there to deal with it."""


def dying(point: str | None, visit: int) -> Callable[[str], None]:
    """What takes the place of `crashpoints.reach`, and kills whoever comes to this point so often."""
    visits = itertools.count(1)

    def reach(reached: str) -> None:
        if reached == point and next(visits) == visit:
            raise DeadError

    return reach


class AnyOrder(RuleBasedStateMachine):
    """One project, and workers that may die wherever a transaction has ended or not."""

    def __init__(self, engine: Engine, runtime: Runtime) -> None:
        super().__init__()
        self.engine = engine
        self.runtime = runtime
        self.project = make_project(engine, CLASSES, name=f"p{next(_numbers)}", repeats="first")
        self.posted: list[NewBatch] = []
        self.abandoned: list[Claim] = []
        self.accepted: dict[str, list[tuple[str, str, str]]] = {}
        """What was posted with each batch, by its id."""
        self.cancelled: set[str] = set()

    @rule(body=st.lists(answers, min_size=1, max_size=6), times=st.integers(1, 3))
    def post(self, body: Sequence[Answer], times: int) -> None:
        """The same POST from so many clients at once."""
        batch = new_batch(self.project, body, key=f"key-{len(self.posted)}")
        with self.engine.begin() as connection:
            stored = store(connection, [batch] * times)
        assert [each.new for each in stored] == [True] * times
        self.posted.append(batch)
        self.accepted[str(batch.uid)] = [(each["challenge"], each["respondent"], each["answer"]) for each in body]

    @precondition(lambda self: self.posted)
    @rule(which=index)
    def replay(self, which: int) -> None:
        batch = self.posted[which % len(self.posted)]
        again = new_batch(self.project, batch.body, key=batch.idempotency_key, count=batch.answers)
        with self.engine.begin() as connection:
            (stored,) = store(connection, [again])
        assert (stored.new, stored.digest) == (False, batch.digest)

    @rule()
    def grade(self) -> None:
        grading.run(self.runtime, self.project, "live")

    @rule(written=st.booleans())
    def die_while_grading(self, written: bool) -> None:
        """With a claim alone, or with everything written, too; no grade is committed."""
        with self.engine.begin() as connection:
            claim = claims.claim(connection, self.project, "live", batches=2, answers=10, lease=60)
        if claim is not None:
            if written:
                grading.grade(self.runtime, self.project, claim, claim.batches, {}, rehearse=True)
            self.abandoned.append(claim)

    @precondition(lambda self: self.abandoned)
    @rule(which=index)
    def come_back(self, which: int) -> None:
        """A worker that was stopped goes on with its claim: it is still its own, or nothing changes."""
        claim = self.abandoned.pop(which % len(self.abandoned))
        with self.engine.connect() as connection:
            query = "SELECT count(*) FROM batches WHERE claim_id = :claim AND lease_until > clock_timestamp()"
            held = scalar(connection, query, claim=claim.id)
        if held == len(claim.batches):
            grading.grade(self.runtime, self.project, claim, claim.batches, {})
        else:  # the rows that another has written may stop it, before the fence does
            with pytest.raises((StaleClaimError, IntegrityError)):
                grading.grade(self.runtime, self.project, claim, claim.batches, {})

    @rule()
    def jump(self) -> None:
        """All leases have run out."""
        for table, state in (("batches", "claimed"), ("model_runs", "running")):
            execute(self.engine, f"UPDATE {table} SET lease_until = now() - interval '1 s' WHERE state = '{state}'")

    @rule()
    def sweep(self) -> None:
        sweep.run(self.runtime)

    @precondition(lambda self: self.posted)
    @rule(which=index)
    def cancel(self, which: int) -> None:
        uid = self.posted[which % len(self.posted)].uid
        try:
            with self.engine.begin() as connection:
                batches.cancel(connection, self.project, uid)
        except ConflictError:
            return
        self.cancelled.add(str(uid))

    @precondition(lambda self: self.posted)
    @rule(which=index)
    def revive(self, which: int) -> None:
        uid = self.posted[which % len(self.posted)].uid
        try:
            with self.engine.begin() as connection:
                batches.retry(connection, self.project, uid)
        except ConflictError:
            return

    @rule(challenge=st.sampled_from(CHALLENGES), truth=st.sampled_from(CLASSES), active=st.booleans())
    def gild(self, challenge: str, truth: str, active: bool) -> None:
        gild(self.engine, self.project, {challenge: truth}, "active" if active else "disputed")

    @rule()
    def regrade(self) -> None:
        regrade.run(self.runtime, self.project)

    @rule()
    def pay(self) -> None:
        payment.run(self.runtime, self.project)

    @rule()
    def revisit(self) -> None:
        revisit.run(self.runtime, self.project, revisit.Round(1))

    @rule(point=st.sampled_from([None, *crashpoints.REFIT]), visit=st.integers(1, 3))
    def refit(self, point: str | None, visit: int) -> None:
        """All of it, or until a process dies there, also between its chunks."""
        with self.engine.begin() as connection:
            runs.request(connection, self.project, "requested")
        with pytest.MonkeyPatch.context() as patch, suppress(DeadError):
            patch.setattr(crashpoints, "reach", dying(point, visit))
            self._refit()

    @invariant()
    def the_books_balance(self) -> None:
        row = books(self.engine, self.project)
        assert row.accepted == sum(batch.answers for batch in self.posted)
        assert audit(self.engine, self.project, self.accepted, self.cancelled) == Faults()

    def teardown(self) -> None:
        """Whatever was left behind is found, and comes to an end."""
        self.jump()
        sweep.run(self.runtime)
        drain(self.runtime, self.project)
        regrade.run(self.runtime, self.project)
        self._refit()
        payment.run(self.runtime, self.project)
        assert audit(self.engine, self.project, self.accepted, self.cancelled, at_rest=True) == Faults()

    def _refit(self) -> None:
        with suppress(RefitError):  # nothing counts yet
            refit.run(self.runtime, self.project)


def test_whatever_happens_in_whatever_order(engine: Engine, runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(payment, "QUIET", 0.0)
    monkeypatch.setattr(debts, "LEAST", 1)
    monkeypatch.setattr(refit, "CHUNK", 2)
    monkeypatch.setattr(regrade, "CHUNK", 1)
    indebted = replace(runtime, settings=runtime.settings.model_copy(update={"debts_from": 3}))
    run_state_machine_as_test(
        cast("type[RuleBasedStateMachine]", lambda: AnyOrder(engine, indebted)),
        settings=examples(
            max_examples=15,
            stateful_step_count=20,
            deadline=None,
            database=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
