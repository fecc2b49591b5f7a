"""The HTTP API as the command line sees it: one connection pool, a key, and patience."""

import random
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from itertools import count
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from cli.errors import CliError
from cli.stack.home import Home
from config.settings import Settings
from db.bodies import NDJSON

Given = TypeVar("Given", bound=str | int | float | Sequence[str])

PATIENCE = 60.0
"""Seconds that a long piece of work goes on trying while the API is away; while it says that it is busy, for ever."""

_FIRST_PAUSE = 0.1
_LAST_PAUSE = 5.0
_LONGEST_PAUSE = 60.0  # whatever a busy server says: much may have changed
_PAGE = 1000
_NAMED = 3  # details that a message names, at most
_TIMEOUT = httpx.Timeout(60.0, connect=5.0)
_BUSY = httpx.codes.TOO_MANY_REQUESTS
_REFUSED = frozenset({_BUSY, 503})  # the server says that it did nothing
_UNCERTAIN = frozenset({502, 504})  # a proxy does not know what the server did


class ApiError(CliError):
    """The API refused. `status` is HTTP's; `errors` are the problem document's, each with `pointer` and `detail`."""

    def __init__(self, status: int, message: str, errors: list[dict[str, str]]) -> None:
        super().__init__(message)
        self.status = status
        self.errors = errors


class Client:
    """Talks to one API with one key; threads may share it.

    Args:
        patience: seconds that a request is tried again for when the API is away or says "later". What might have been
            done is repeated only where repeating it is harmless.
    """

    def __init__(
        self, url: str, key: str, *, patience: float = 0.0, transport: httpx.BaseTransport | None = None
    ) -> None:
        self._closed = threading.Event()
        self._patience = patience
        self._url = httpx.URL(url)
        self._http = httpx.Client(
            base_url=self._url.copy_with(path=self._url.path.rstrip("/") + "/v1/"),
            headers={"Authorization": f"Bearer {key}"},
            timeout=_TIMEOUT,
            trust_env=self._url.host not in {"127.0.0.1", "::1", "localhost"},  # no proxy leads to this machine
            transport=transport,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; whoever waits in another thread gives up."""
        self._closed.set()
        self._http.close()

    def pause(self, seconds: float) -> None:
        """Wait.

        Raises:
            CliError: the client was closed meanwhile.
        """
        if self._closed.wait(seconds):
            raise CliError("interrupted")

    def get(self, path: str, **parameters: str | int | None) -> dict[str, Any]:
        """The JSON object at a path."""
        return self._object(self._request("GET", path, params=_given(parameters)))

    def items(self, path: str, *, limit: int | None = None, **parameters: str | None) -> Iterator[dict[str, Any]]:
        """The items of a list, page after page, at most `limit`."""
        cursor: str | None = None
        while limit is None or limit > 0:
            page = self.get(path, after=cursor, limit=min(limit or _PAGE, _PAGE), **parameters)
            yield from page["items"]
            limit = None if limit is None else limit - len(page["items"])
            cursor = page["next"]
            if cursor is None:
                return

    def post(self, path: str, body: Mapping[str, Any] | Sequence[Any] | None = None) -> dict[str, Any]:
        """Post JSON, or nothing."""
        return self._object(self._request("POST", path, json=body))

    def put(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Put a JSON object in its place."""
        return self._object(self._request("PUT", path, json=body))

    def patch(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Change some fields."""
        return self._object(self._request("PATCH", path, json=body))

    def delete(self, path: str) -> dict[str, Any]:
        """Delete; the reply tells the state afterwards."""
        return self._object(self._request("DELETE", path))

    def post_batch(self, project: str, body: bytes, *, key: str, lane: str, partial: bool = False) -> dict[str, Any]:
        """Post NDJSON answers under an idempotency key."""
        return self._object(
            self._request(
                "POST",
                f"{project_path(project)}/batches",
                params={"lane": lane} | ({"partial": "true"} if partial else {}),
                content=body,
                headers={"Content-Type": NDJSON, "Idempotency-Key": key},
            )
        )

    def lines(self, path: str) -> Iterator[dict[str, Any]]:
        """The objects of a long reply, as they come, asked for as NDJSON."""
        rest = b""
        with self.stream(path, NDJSON) as response:
            for chunk in response.iter_bytes():
                *lines, rest = (rest + chunk).split(b"\n")
                yield from map(msgspec.json.decode, lines)
        if rest.strip():
            yield msgspec.json.decode(rest)

    @contextmanager
    def stream(
        self, path: str, media_type: str, **parameters: str | float | Sequence[str] | None
    ) -> Iterator[httpx.Response]:
        """A long reply, to be read as it comes. It is not resumed.

        Raises:
            CliError: also while reading, when the connection drops before the end.
        """
        try:
            with self._http.stream("GET", path, params=_given(parameters), headers={"Accept": media_type}) as response:
                if response.is_error:
                    response.read()
                    raise _refusal(response)
                yield response
        except httpx.TransportError as error:
            raise self._away(error) from None

    def _request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        json: Mapping[str, Any] | Sequence[Any] | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        repeatable = method != "POST" or "Idempotency-Key" in (headers or {})
        deadline = time.monotonic() + self._patience
        for attempt in count():
            delay = random.uniform(0.5, 1.0) * min(_FIRST_PAUSE * 2**attempt, _LAST_PAUSE)  # noqa: S311 - jitter
            try:
                response = self._http.request(method, path, params=params, json=json, content=content, headers=headers)
            except httpx.TransportError as error:
                problem: CliError = self._away(error)
                again = repeatable or isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
            else:
                if response.is_success:
                    return response
                problem = _refusal(response)
                again = response.status_code in _REFUSED or (repeatable and response.status_code in _UNCERTAIN)
                delay = max(delay, _retry_after(response))
                if response.status_code == _BUSY and self._patience:
                    delay = min(delay, _LONGEST_PAUSE)
                    deadline = time.monotonic() + delay + self._patience
            if not again or time.monotonic() + delay > deadline:
                raise problem
            self.pause(delay)
        raise AssertionError("unreachable")

    def _object(self, response: httpx.Response) -> dict[str, Any]:
        try:
            value = response.json()
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise CliError(f"{self._url} does not answer as the API of Touchstone does")
        return value

    def _away(self, error: httpx.TransportError) -> CliError:
        return CliError(f"{self._url} does not answer: {str(error) or type(error).__name__}")


def connect(settings: Settings, *, patience: float = 0.0) -> Client:
    """A client for the API and the key that the settings name, else for the embedded stack that runs in their home.

    Raises:
        CliError: there is neither, or the URL is none.
    """
    if not settings.api_url:
        raise CliError(f"TOUCHSTONE_API_URL: not set, and no stack runs in {settings.home} (start one with `make up`)")
    try:
        url = httpx.URL(settings.api_url)
    except httpx.InvalidURL:
        url = httpx.URL("")
    if url.scheme not in {"http", "https"} or not url.host:
        raise CliError(f"TOUCHSTONE_API_URL: {settings.api_url!r} is no http:// or https:// URL")
    return Client(settings.api_url, _key(settings), patience=patience)


def project_path(project: str, *rest: str) -> str:
    """The path of a project, or of something in it."""
    return "/".join(quote(part, safe="") for part in ("projects", project, *rest))


def _key(settings: Settings) -> str:
    if settings.api_key is not None:
        key = settings.api_key.get_secret_value()
    else:
        path = Home(settings.home).api_key
        try:
            key = path.read_text()
        except OSError as error:
            raise CliError(f"TOUCHSTONE_API_KEY: not set, and {path}: {error.strerror}") from None
    key = key.strip()
    if not key or not (key.isascii() and key.isprintable()):
        raise CliError("TOUCHSTONE_API_KEY: not a key")
    return key


def _given(parameters: Mapping[str, Given | None]) -> dict[str, Given]:
    return {name: value for name, value in parameters.items() if value is not None}


def _refusal(response: httpx.Response) -> ApiError:
    try:
        problem = response.json()
    except ValueError:
        problem = None
    if not isinstance(problem, dict):
        problem = {}
    said = str(problem.get("detail") or problem.get("title") or response.reason_phrase)
    errors: list[dict[str, str]] = problem.get("errors") or []
    named = "; ".join(f"{error['pointer']}: {error['detail']}" for error in errors[:_NAMED])
    message = f"{said} {named}" if named else said
    return ApiError(response.status_code, f"{message} (HTTP {response.status_code})", errors)


def _retry_after(response: httpx.Response) -> float:
    """Seconds that the server asks to wait: a number or a date; 0 when it says nothing that can be read."""
    value = response.headers.get("Retry-After", "")
    try:
        return max(0.0, float(value) if value.isdigit() else parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return 0.0
