"""The HTTP client against a transport that answers from memory: what is tried again, and what is said."""

import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import httpx
import pytest

from cli.client import ApiError, Client, connect, project_path
from cli.errors import CliError
from config.settings import load

Handler = Callable[[httpx.Request], httpx.Response]
Turn = httpx.Response | type[httpx.TransportError]

OK = httpx.Response(200, json={"state": "done"})
AWAY = httpx.Response(503, json={"detail": "Postgres is away"}, headers={"Retry-After": "0"})


class Turns:
    """Answers each request with the next turn; the last one goes on."""

    def __init__(self, turns: Iterable[Turn]) -> None:
        self._turns = list(turns)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        turn = self._turns[min(len(self.requests), len(self._turns) - 1)]
        self.requests.append(request)
        if isinstance(turn, httpx.Response):
            return httpx.Response(turn.status_code, headers=turn.headers, content=turn.content)
        raise turn("gone")


def _client(handler: Handler, patience: float = 5.0, url: str = "http://api.test") -> Client:
    return Client(url, "ts_key", patience=patience, transport=httpx.MockTransport(handler))


@pytest.mark.parametrize(
    "turns",
    [
        [AWAY, OK],
        [httpx.Response(429), OK],
        [httpx.Response(502), OK],
        [httpx.ConnectError, OK],
        [httpx.ReadError, OK],
        [httpx.RemoteProtocolError, AWAY, httpx.ReadTimeout, OK],
    ],
)
def test_a_read_is_tried_again(turns: list[Turn]) -> None:
    handler = Turns(turns)
    with _client(handler) as client:
        assert client.get("projects") == {"state": "done"}
    assert len(handler.requests) == len(turns)


def test_a_batch_is_sent_again_under_its_key() -> None:
    handler = Turns([httpx.ReadError, httpx.Response(504), httpx.Response(202, json={"id": "b"})])
    with _client(handler) as client:
        assert client.post_batch("p", b"{}\n", key="k", lane="bulk") == {"id": "b"}
    assert [request.headers["Idempotency-Key"] for request in handler.requests] == ["k"] * 3
    assert {request.content for request in handler.requests} == {b"{}\n"}
    assert handler.requests[0].headers["Content-Type"] == "application/x-ndjson"
    assert handler.requests[0].url == "http://api.test/v1/projects/p/batches?lane=bulk"


@pytest.mark.parametrize("turn", [httpx.ReadError, httpx.Response(502)])
def test_a_post_without_a_key_that_may_have_been_done_is_not_sent_again(turn: Turn) -> None:
    handler = Turns([turn, OK])
    with _client(handler) as client, pytest.raises(CliError):
        client.post("projects", {"name": "p"})
    assert len(handler.requests) == 1


@pytest.mark.parametrize("turn", [httpx.ConnectError, AWAY])
def test_a_post_that_was_not_done_is_sent_again(turn: Turn) -> None:
    handler = Turns([turn, OK])
    with _client(handler) as client:
        client.post("projects", {"name": "p"})
    assert len(handler.requests) == 2


def test_patience_ends() -> None:
    handler = Turns([httpx.ConnectError])
    with _client(handler, patience=0.3) as client, pytest.raises(CliError, match=r"http://api\.test does not answer"):
        client.get("projects")
    assert 1 < len(handler.requests) < 10


@pytest.mark.parametrize("value", ["3600", "Fri, 31 Dec 2100 23:59:59 GMT"])
def test_the_server_says_how_long_to_wait(value: str) -> None:
    handler = Turns([httpx.Response(503, headers={"Retry-After": value}), OK])
    with _client(handler, patience=30) as client, pytest.raises(ApiError):
        client.get("projects")
    assert len(handler.requests) == 1


def test_a_busy_server_is_waited_for_as_long_as_it_is_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.client._LONGEST_PAUSE", 0.05)
    handler = Turns([httpx.Response(429, headers={"Retry-After": "300"})] * 10 + [OK])
    with _client(handler, patience=0.2) as client:
        client.get("projects")
    assert len(handler.requests) == 11


def test_a_retry_after_that_nobody_can_read_counts_for_nothing() -> None:
    handler = Turns([httpx.Response(503, headers={"Retry-After": "soon"}), OK])
    with _client(handler) as client:
        client.get("projects")
    assert len(handler.requests) == 2


def test_a_refusal_is_said_in_one_line() -> None:
    problem = {"title": "Conflict", "detail": "a project named 'p' exists", "status": 409}
    with _client(Turns([httpx.Response(409, json=problem)])) as client, pytest.raises(ApiError) as caught:
        client.post("projects", {})
    assert str(caught.value) == "a project named 'p' exists (HTTP 409)"
    assert caught.value.status == 409


def test_a_refusal_names_fields() -> None:
    problem = {"detail": "invalid", "errors": [{"pointer": "/name", "detail": "is empty"}]}
    with (
        _client(Turns([httpx.Response(422, json=problem)])) as client,
        pytest.raises(ApiError, match="/name: is empty"),
    ):
        client.post("projects", {})


@pytest.mark.parametrize("body", [b"<html>", b"[]"])
def test_whoever_else_answers_is_recognised(body: bytes) -> None:
    with _client(Turns([httpx.Response(200, content=body)])) as client, pytest.raises(CliError, match="Touchstone"):
        client.get("projects")
    with _client(Turns([httpx.Response(404, content=body)])) as client, pytest.raises(ApiError, match="Not Found"):
        client.get("projects")


def test_closing_ends_the_wait() -> None:
    handler = Turns([httpx.Response(503, headers={"Retry-After": "60"})])
    client = _client(handler, patience=1000)
    ended = threading.Event()

    def wait() -> None:
        with pytest.raises(CliError, match="interrupted"):
            client.get("projects")
        ended.set()

    thread = threading.Thread(target=wait)
    thread.start()
    client.close()
    assert ended.wait(5)
    thread.join()


def _numbers(request: httpx.Request) -> httpx.Response:
    """A list of 0 to 24 whose cursor is the number before."""
    after = int(request.url.params.get("after", -1))
    page = range(after + 1, min(25, after + 1 + min(10, int(request.url.params["limit"]))))
    return httpx.Response(
        200, json={"items": [{"n": n} for n in page], "next": str(page[-1]) if page[-1] < 24 else None}
    )


@pytest.mark.parametrize(("limit", "expected"), [(None, 25), (7, 7), (10, 10), (15, 15), (100, 25)])
def test_items_of_all_pages(limit: int | None, expected: int) -> None:
    with _client(_numbers) as client:
        assert [item["n"] for item in client.items("numbers", limit=limit)] == list(range(expected))


def test_lines_end_where_json_lines_end() -> None:
    """Other characters at which text may be split stand inside strings."""
    body = '{"challenge":"a\u2028b\x85c"}\n{"challenge":"d"}'.encode()
    seen = Turns([httpx.Response(200, content=body)])
    with _client(seen) as client:
        assert list(client.lines("verdicts")) == [{"challenge": "a\u2028b\x85c"}, {"challenge": "d"}]
    assert seen.requests[0].headers["Accept"] == "application/x-ndjson"


def test_a_stream_that_breaks_is_an_error() -> None:
    def body() -> Iterable[bytes]:
        yield b'{"challenge":"a"}\n'
        raise httpx.RemoteProtocolError("peer closed connection")

    with _client(lambda _: httpx.Response(200, content=body())) as client, pytest.raises(CliError, match="peer closed"):
        list(client.lines("verdicts"))


def test_a_refused_stream_says_why() -> None:
    with _client(Turns([httpx.Response(404, json={"detail": "no project"})])) as client:  # noqa: SIM117
        with pytest.raises(ApiError, match="no project"), client.stream("verdicts", "text/csv"):
            pass


def test_the_url_may_have_a_path() -> None:
    handler = Turns([OK])
    with _client(handler, url="https://example.test/touchstone/") as client:
        client.get(project_path("a b", "challenges", "x/y"))
    assert str(handler.requests[0].url) == "https://example.test/touchstone/v1/projects/a%20b/challenges/x%2Fy"
    assert handler.requests[0].headers["Authorization"] == "Bearer ts_key"


def test_connect_reads_the_stacks_key(tmp_path: Path) -> None:
    settings = load(home=tmp_path, api_url="http://127.0.0.1:1")
    with pytest.raises(CliError, match=r"TOUCHSTONE_API_KEY: not set, and .*api-key: No such file"):
        connect(settings)
    (tmp_path / "api-key").write_text("ts_secret\n")
    connect(settings).close()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"api_url": ""}, "TOUCHSTONE_API_URL: not set"),
        ({"api_url": "localhost:8000", "api_key": "k"}, "is no http:// or https:// URL"),
        ({"api_url": "http://", "api_key": "k"}, "is no http:// or https:// URL"),
        ({"api_url": "http://a.test", "api_key": " \n"}, "TOUCHSTONE_API_KEY: not a key"),
        ({"api_url": "http://a.test", "api_key": "schl\u00fcssel"}, "TOUCHSTONE_API_KEY: not a key"),
    ],
)
def test_connect_names_what_is_wrong(overrides: dict[str, str], message: str, tmp_path: Path) -> None:
    with pytest.raises(CliError, match=message):
        connect(load(home=tmp_path, **overrides))


def test_waiting_is_not_longer_than_asked() -> None:
    handler = Turns([httpx.ConnectError])
    began = time.monotonic()
    with _client(handler, patience=0) as client, pytest.raises(CliError):
        client.get("projects")
    assert time.monotonic() - began < 1
    assert len(handler.requests) == 1
