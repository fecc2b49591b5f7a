"""Errors, translated once."""

import json
from collections.abc import Coroutine
from typing import Any

import psycopg
import pytest
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from api.outages import is_outage, reason
from api.problems import Fault, ProblemError, handle
from db.errors import ConflictError, NotFoundError

REQUEST = Request({"type": "http"})


def answer(error: Exception) -> Response:
    """What the client gets for an error."""

    def result(coroutine: Coroutine[Any, Any, Response]) -> Response:
        try:
            coroutine.send(None)
        except StopIteration as done:
            return done.value
        raise AssertionError("the handler waits for something")

    return result(handle(REQUEST, error))


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ProblemError(413, "too much"), 413),
        (HTTPException(405), 405),
        (NotFoundError("no such thing"), 404),
        (ConflictError("not now"), 409),
        (PoolTimeoutError(), 503),
        (OperationalError("SELECT", {}, psycopg.OperationalError("connection refused")), 503),
        (OperationalError("SELECT", {}, psycopg.errors.QueryCanceled()), 503),
        (OperationalError("UPDATE", {}, psycopg.errors.LockNotAvailable()), 503),
    ],
)
def test_every_error_is_a_problem_document(error: Exception, status: int) -> None:
    response = answer(error)
    assert (response.status_code, response.media_type) == (status, "application/problem+json")
    document = json.loads(bytes(response.body))
    assert document["status"] == status
    assert document["type"] == "about:blank"
    assert document["title"]
    assert ("retry-after" in response.headers) == (status == 503)


def test_an_error_of_ours_is_raised_again() -> None:
    error = ProgrammingError("SELEC", {}, psycopg.errors.SyntaxError("SELEC"))
    with pytest.raises(ProgrammingError):
        answer(error)


def test_faults_are_listed() -> None:
    response = answer(ProblemError(422, "wrong", [Fault("/answers/17/answer", "is missing")]))
    assert json.loads(bytes(response.body))["errors"] == [{"pointer": "/answers/17/answer", "detail": "is missing"}]


def test_no_more_faults_are_named_than_anybody_reads() -> None:
    error = RequestValidationError([{"loc": ("body", place), "msg": "wrong"} for place in range(2500)])
    document = json.loads(bytes(answer(error).body))
    assert document["detail"] == "The request is not valid. The first 1,000 of 2,500 faults are named."
    assert [fault["pointer"] for fault in document["errors"]] == [f"/{place}" for place in range(1000)]


def test_places_are_json_pointers() -> None:
    errors = [
        {"loc": ("body", "classes", 3), "msg": "Value error, is empty"},
        {"loc": ("body", "a/b~c"), "msg": "unknown"},
        {"loc": ("body",), "msg": "must be an object"},
        {"loc": ("query", "limit"), "msg": "too large"},
    ]
    document = json.loads(bytes(answer(RequestValidationError(errors)).body))
    assert document["errors"] == [
        {"pointer": "/classes/3", "detail": "is empty"},
        {"pointer": "/a~1b~0c", "detail": "unknown"},
        {"pointer": "", "detail": "must be an object"},
        {"pointer": "/query/limit", "detail": "too large"},
    ]


@pytest.mark.parametrize(
    ("error", "outage"),
    [
        (OperationalError("", {}, psycopg.OperationalError("server closed the connection")), True),
        (InterfaceError("", {}, psycopg.InterfaceError("the connection is closed")), True),
        (OperationalError("", {}, psycopg.errors.AdminShutdown()), True),
        (OperationalError("", {}, psycopg.errors.CannotConnectNow()), True),
        (OperationalError("", {}, psycopg.errors.TooManyConnections()), True),
        (DBAPIError("", {}, psycopg.errors.ReadOnlySqlTransaction()), True),
        (DBAPIError("", {}, psycopg.errors.Error(), connection_invalidated=True), True),
        (OperationalError("", {}, psycopg.errors.DeadlockDetected()), False),
        (OperationalError("", {}, psycopg.errors.QueryCanceled()), False),
        (IntegrityError("", {}, psycopg.errors.UniqueViolation()), False),
        (KeyError(), False),
    ],
)
def test_outages_are_told_from_mistakes(error: Exception, outage: bool) -> None:
    assert is_outage(error) == outage


def test_a_reason_shows_no_values() -> None:
    wrong = IntegrityError("INSERT", {"key": "secret"}, psycopg.errors.CheckViolation("no\nDETAIL: (secret)"))
    assert reason(wrong) == "no"
