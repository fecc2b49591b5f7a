"""Looking at the answers of a body before they are accepted.

Almost every body is right, so it is decoded once, in C, and looked over as a whole. Only a body that fails is taken
apart to name each wrong answer.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any

import msgspec

from api.doors import Door, no_class
from api.json_walk import MisshapenError, Unreadable, elements, lines
from api.problems import Fault, ProblemError
from db.bodies import JSON, MAX_DURATION, MAX_KEY, AnswerBody, BatchBody, decode, pack

_KEYS = ("challenge", "respondent", "answer", "session")
_PLACEHOLDER = AnswerBody("-", "-", "-")
"""Stands in a stored body where a rejected answer was, so that the others keep their positions."""

_Moment = Annotated[datetime, msgspec.Meta(tz=True)]


@dataclass(frozen=True, slots=True)
class Checked:
    """A body that was looked over."""

    body: bytes
    """What to store, packed: as received, unless rejected answers cannot even be decoded and give way to placeholders.
    """
    size: int
    """Bytes of it, not packed."""
    answers: int
    faults: Sequence[tuple[int, Fault]]
    """Position of each wrong answer and what is wrong; several faults of one answer follow one another."""

    @property
    def rejected(self) -> tuple[tuple[int, str], ...]:
        """Position and reason of each answer that is wrong."""
        reasons: dict[int, list[str]] = {}
        for position, fault in self.faults:
            reasons.setdefault(position, []).append(f"{fault.pointer.rpartition('/')[2]}: {fault.detail}")
        return tuple((position, "; ".join(found)) for position, found in reasons.items())


def glance(body: bytes, media_type: str, door: Door, *, limit: int) -> Checked | None:
    """Look a body over quickly: None when something is wrong with it and :func:`check` must say what.

    Raises:
        ProblemError: it has more than `limit` answers.
    """
    try:
        answers = decode(body, media_type)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    _limit(len(answers), limit)
    return _checked(body, answers, ()) if answers and _clean(body, answers, door) else None


def check(body: bytes, media_type: str, door: Door, *, limit: int) -> Checked:
    """Look a body over, and name what is wrong with it.

    Raises:
        ProblemError: it has more than `limit` answers, none, or is no body of answers at all.
    """
    try:
        answers = decode(body, media_type)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return _take_apart(body, media_type, door, limit, error)
    if not answers:
        raise ProblemError(422, "The body has no answers.")
    _limit(len(answers), limit)
    if _clean(body, answers, door):
        return _checked(body, answers, ())
    values = [msgspec.structs.asdict(answer) for answer in answers]
    return _checked(body, answers, _faults(values, door, _prefix(media_type)))


def _checked(body: bytes, answers: Sequence[object], faults: Sequence[tuple[int, Fault]]) -> Checked:
    return Checked(pack(body), len(body), len(answers), faults)


def _clean(body: bytes, answers: Sequence[AnswerBody], door: Door) -> bool:
    given = {answer.answer for answer in answers}
    moments = {answer.answered_at for answer in answers}
    return (
        not (b"\\" in body and b"\\u0000" in body)
        and ((None not in given and True not in {answer.skip for answer in answers}) or _skips(answers))
        and (door.classes is None or given - {None} <= door.classes)
        and all(moment is None or 1 < moment.year < 9999 for moment in moments)
    )


def _skips(answers: Sequence[AnswerBody]) -> bool:
    """Whether each is an answer or a skip, and none is both."""
    return all((answer.answer is None) == answer.skip for answer in answers)


def _take_apart(body: bytes, media_type: str, door: Door, limit: int, error: Exception) -> Checked:
    """As :func:`check`, for a body that cannot be decoded as a whole."""
    count = partial(_limit, limit=limit)
    values = _document(body, count) if media_type == JSON else lines(body, _DECODER, count)
    faults = _faults(values, door, _prefix(media_type))
    if not faults:  # something is wrong with it that is not about any one answer
        raise _malformed(str(error))
    bad = {position for position, _ in faults}
    kept = [
        _PLACEHOLDER if position in bad else msgspec.convert(value, AnswerBody) for position, value in enumerate(values)
    ]
    encoded = msgspec.json.encode(BatchBody(kept)) if media_type == JSON else _encode_lines(kept)
    return _checked(encoded, values, faults)


def _encode_lines(answers: Sequence[AnswerBody]) -> bytes:
    return msgspec.json.Encoder().encode_lines(answers)


def _document(body: bytes, count: Callable[[int], None]) -> list[Any]:
    try:
        return elements(body, "answers", _DECODER, count)
    except MisshapenError as error:
        hint = ": it is a parameter of the URL" if error.pointer in {"/lane", "/partial"} else ""
        raise _malformed(f"{error.detail}{hint}", pointer=error.pointer) from None


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(strict=False, parse_constant=_no_constant)
"""Of JSON that may hold what may not be in it: such strings are then found out one by one."""


def _faults(values: Sequence[Any], door: Door, prefix: str) -> list[tuple[int, Fault]]:
    return [
        (position, Fault(f"{prefix}/{position}{path}", detail))
        for position, value in enumerate(values)
        for path, detail in _answer(value, door)
    ]


def _answer(value: Any, door: Door) -> Iterator[tuple[str, str]]:
    """Pointer within the answer, and detail, of each thing wrong with one answer."""
    if isinstance(value, Unreadable):
        yield "", value.detail
        return
    if not isinstance(value, Mapping):
        yield "", "must be an object"
        return
    for name in _KEYS:
        if value.get(name) is None and (name == "session" or (name == "answer" and value.get("skip") is True)):
            continue
        found = "is missing" if value.get(name) is None else _key(value[name])
        if found is None and name == "answer" and door.classes is not None and value[name] not in door.classes:
            found = no_class(value[name], door.listed)
        if found:
            yield f"/{name}", found
    if not isinstance(value.get("skip", False), bool):
        yield "/skip", "must be true or false"
    elif value.get("skip") and value.get("answer") is not None:
        yield "/skip", "is true, and there is an answer"
    if found := _moment(value.get("answered_at")):
        yield "/answered_at", found
    if found := _duration(value.get("duration_ms")):
        yield "/duration_ms", found


def _key(value: Any) -> str | None:
    if not isinstance(value, str):
        return "must be a string"
    if not value:
        return "is empty"
    if len(value) > MAX_KEY:
        return f"is longer than {MAX_KEY} characters"
    if "\0" in value:
        return "contains the character NUL"
    if any("\ud800" <= character <= "\udfff" for character in value):
        return "is not valid Unicode: a lone surrogate, or bytes that are not UTF-8"
    return None


def _moment(value: Any) -> str | None:
    if value is None:
        return None
    try:
        msgspec.convert(value, _Moment).astimezone(UTC)
    except OverflowError:
        return "is out of range"
    except (msgspec.ValidationError, UnicodeError):
        return "must be a time with a time zone, as 2026-01-31T12:00:00Z"
    return None


def _duration(value: Any) -> str | None:
    if value is None or (type(value) is int and 0 <= value <= MAX_DURATION):
        return None
    return f"must be a whole number of milliseconds from 0 to {MAX_DURATION}"


def _prefix(media_type: str) -> str:
    return "/answers" if media_type == JSON else ""


def _limit(count: int, limit: int) -> None:
    if count > limit:
        raise ProblemError(413, f"The body has more than {limit:,} answers.")


def _malformed(detail: str, *, pointer: str = "") -> ProblemError:
    return ProblemError(422, "The body is not a body of answers.", [Fault(pointer, detail)])
