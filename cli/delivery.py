"""Sending a submission over several connections, and waiting until it is graded."""

import re
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from cli.client import ApiError, Client, project_path
from cli.errors import CliError
from cli.submission import OutgoingBatch, Submission

_ENDED = frozenset({"graded", "dead", "cancelled"})
_FIRST_PAUSE = 0.05
_LAST_PAUSE = 1.0
_POINTER = re.compile(r"/(?:answers/)?(?P<position>\d+)(?:/(?P<field>.*))?", re.DOTALL)

Given = TypeVar("Given")
Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class BadAnswer:
    """An answer that the API refuses, and the line of the file that it ends on."""

    line: int
    problem: str


class BadAnswersError(CliError):
    """Some answers of a batch are refused, and so nothing of the batch is stored."""

    def __init__(self, batch: OutgoingBatch, answers: Sequence[BadAnswer]) -> None:
        first, last = batch.lines[0], batch.lines[-1]
        super().__init__(
            f"nothing of lines {first} to {last} is stored, nor sent from there on:"
            " correct the file, or store the good answers with --partial"
        )
        self.answers = answers


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a batch at the door."""

    id: str | None
    """None: not one of its answers could be stored."""
    answers: int
    bad: Sequence[BadAnswer] = ()

    @property
    def rejected(self) -> int:
        """How many answers were not stored; the API names at most some hundreds of a batch."""
        return len({answer.line for answer in self.bad}) if self.id else self.answers


@dataclass(frozen=True, slots=True)
class Delivery:
    """A submission on its way through one lane.

    Args:
        partial: store the good answers of a batch that has bad ones.
    """

    client: Client
    submission: Submission
    lane: str
    partial: bool

    def send(self, concurrency: int) -> Iterator[Receipt]:
        """Send every batch, the first one alone, then `concurrency` at a time; receipts in the file's order.

        Raises:
            BadAnswersError: a batch has bad answers, and `partial` is not wanted.
            CliError: the file was sent before in other batches, has changed, or the API is away for too long.
        """
        batches = self.submission.batches()
        yield self._send_first(next(batches))
        yield from bounded(self._send, batches, concurrency)

    def _send_first(self, batch: OutgoingBatch) -> Receipt:
        try:
            receipt = self._send(batch)
        except ApiError as error:
            if error.status != 409:
                raise
            raise CliError(
                f"{self.submission.path} was submitted to {self.submission.project}"
                " with another --batch-size or --lane: give the same again"
            ) from None
        if receipt.id is None:
            raise CliError(
                f"no answer of the first batch can be stored: line {batch.lines[0]}: {receipt.bad[0].problem}"
            )
        return receipt

    def _send(self, batch: OutgoingBatch) -> Receipt:
        """Send one batch, asking for the good answers alone only once it has turned out that there are bad ones.

        So a batch without any is the same request, and the same to the API, whether `partial` was wanted or not.
        """
        try:
            return self._post(batch, partial=False)
        except ApiError as error:
            bad = _bad_answers(batch, error.errors)
            if error.status == 413:
                raise CliError(f"{error}: choose a smaller --batch-size") from None
            if error.status != 422 or not bad:
                raise
        if not self.partial:
            raise BadAnswersError(batch, bad)
        try:
            return self._post(batch, partial=True)
        except ApiError as error:
            if error.status != 422:
                raise
            return Receipt(None, len(batch.lines), bad)

    def _post(self, batch: OutgoingBatch, *, partial: bool) -> Receipt:
        reply = self.client.post_batch(
            self.submission.project, batch.body, key=batch.key, lane=self.lane, partial=partial
        )
        return Receipt(reply["id"], len(batch.lines), _bad_answers(batch, reply["rejected"]))


def settled(client: Client, project: str, batches: Sequence[str], concurrency: int) -> Iterator[dict[str, Any]]:
    """Each batch as soon as it and those before it have ended."""

    def end(batch: str) -> dict[str, Any]:
        pause = _FIRST_PAUSE
        while (found := client.get(project_path(project, "batches", batch)))["state"] not in _ENDED:
            client.pause(pause)
            pause = min(2 * pause, _LAST_PAUSE)
        return found

    return bounded(end, batches, concurrency)


def counts(client: Client, project: str, batches: Sequence[str], concurrency: int) -> Counter[str]:
    """Answers of batches by state. A later batch may supersede an earlier one's: read them when all have ended."""

    def count(batch: str) -> dict[str, int]:
        found: dict[str, int] = client.get(project_path(project, "batches", batch))["counts"]
        return found

    total: Counter[str] = Counter()
    for found in bounded(count, batches, concurrency):
        total.update(found)
    return total


def first_rejection(client: Client, project: str, batches: Sequence[str]) -> str:
    """Why the first answer was rejected that was not rejected at the door."""
    for batch in batches:
        path = project_path(project, "batches", batch)
        if client.get(path)["counts"]["rejected"]:
            for answer in client.items(f"{path}/grades"):
                if answer["state"] == "rejected":
                    return str(answer["reason"])
    return "no reason was recorded"


def bounded(function: Callable[[Given], Made], items: Iterable[Given], concurrency: int) -> Iterator[Made]:
    """The function's results in the order of the items, computed by threads that run ahead by a few items at most.

    What has not begun when the caller stops, or a call fails, never begins. After a failure the calls under way are
    waited for, so that nothing they hold is closed beneath them; a caller who stops, or Ctrl-C, waits for nothing.
    """
    under_way: deque[Future[Made]] = deque()
    pool = ThreadPoolExecutor(concurrency)
    failed = False
    try:
        for item in items:
            under_way.append(pool.submit(function, item))
            if len(under_way) >= 2 * concurrency:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    except Exception:
        failed = True
        raise
    finally:
        pool.shutdown(wait=failed, cancel_futures=True)


def _bad_answers(batch: OutgoingBatch, errors: Sequence[dict[str, str]]) -> list[BadAnswer]:
    bad = []
    for error in errors:
        place = _POINTER.fullmatch(error["pointer"])
        if place and int(place["position"]) < len(batch.lines):
            field = f"{place['field']}: " if place["field"] else ""
            bad.append(BadAnswer(batch.lines[int(place["position"])], f"{field}{error['detail']}"))
    return bad
