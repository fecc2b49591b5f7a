"""Claiming ahead: while Postgres stores one claim, the next one is made, decoded and named."""

import uuid
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from db import claims, projects, transactions
from db.claims import Claim
from db.questions import Question
from telemetry import crashpoints, logging
from workers import intake, lease
from workers.intake import Intake
from workers.recall import Moment
from workers.runtime import Runtime

log = logging.get(__name__)


ALONE = 8
"""Times as much is claimed while nothing waits elsewhere: of more answers at once, each writes fewer rows."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A claim, and its answers unless they could not be made ready: then grading finds out why."""

    claim: Claim
    intake: Intake | None
    moment: Moment
    """From before the claim was made."""


class Ahead:
    """The claims of one slice at a project's lane. Inside the block their leases are kept alive."""

    def __init__(self, runtime: Runtime, project_id: int, lane: str) -> None:
        self._runtime = runtime
        self._project_id = project_id
        self._lane = lane
        self.alone = False
        """Whether nothing waits elsewhere: then claims may be larger."""
        self._claims: dict[uuid.UUID, Claim] = {}
        self._next: Future[Ready | None] | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._stack.enter_context(lease.kept(self._runtime.engine, self._keep, self._runtime.settings.lease))
        return self

    def __exit__(self, *_: object) -> None:
        with self._stack:
            if self._next is not None and self._next.exception() is None and (ready := self._next.result()):
                self.give_back(ready)

    @property
    def waiting(self) -> bool:
        """Whether a claim is being made that `take` will give."""
        return self._next is not None

    def start(self, wanted: Callable[[], bool]) -> None:
        """Make the next claim ready beside what the caller does, if one is wanted."""
        if self._next is None and wanted():
            self._next = self._runtime.ahead.submit(self._make, self._moment)

    def take(self) -> Ready | None:
        """The next claim, the one that was started if one was; None when nothing was due."""
        if self._next is None:
            return self._make(self._moment)
        ready = self._next.result()
        self._next = None  # had the wait been interrupted, it would be given back
        return ready

    def done(self, claim: Claim) -> None:
        """Nothing of a claim is to be graded any more."""
        self._claims.pop(claim.id, None)

    def give_back(self, ready: Ready) -> None:
        """Let go of a claim that was not tried: the slice has ended with an error.

        If it is stored all the same, there is nothing left to let go of.
        """
        self._let_go(partial(claims.release_untried, claim=ready.claim, error=None, share=0, least=0, most=0))

    @property
    def _moment(self) -> Moment:
        return self._runtime.memory.moment(self._project_id)

    def _make(self, moment: Moment) -> Ready | None:
        settings, engine = self._runtime.settings, self._runtime.engine
        times = ALONE if self.alone else 1
        claiming = claims.claiming(
            self._project_id,
            self._lane,
            batches=times * settings.claim_batches,
            answers=times * settings.claim_answers,
            lease=settings.lease,
            mine=list(self._claims),
        )
        questions: list[Question[Any]] = [claiming, projects.how_to_grade(self._project_id)]
        try:
            claim, grading = transactions.ask_alone(
                engine, questions, *claims.terms(settings.lease), most=settings.lease
            )
        except DBAPIError:
            # It may have been committed all the same, and would keep others out until its lease runs out.
            self._let_go(partial(claims.unmake, claim_id=claiming.parameters["claim"]))
            raise
        if claim is None:
            return None
        self._claims[claim.id] = claim
        crashpoints.reach("grade-claimed")
        try:
            return Ready(claim, intake.take(self._runtime, grading, claim.batches), moment)
        except Exception as error:  # noqa: BLE001 - whatever it is, grading comes upon it where it can be dealt with
            log.info("claim not made ready", claim=claim.id, error=str(error))
            return Ready(claim, None, moment)

    def _let_go(self, undo: Callable[[Connection], object]) -> None:
        """Undo a claim, if that can be done; else its lease runs out."""
        try:
            with self._runtime.bounded() as connection:
                undo(connection)
        except Exception as error:  # noqa: BLE001 - its lease runs out
            log.warning("claim not given back", error=str(error))

    def _keep(self, connection: Connection) -> None:
        for claim in list(self._claims.values()):
            claims.keep(connection, claim, self._runtime.settings.lease)
