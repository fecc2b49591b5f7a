"""Before the head of a request has come: of strangers little is waited for, and little kept."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from select import select
from urllib.parse import urlsplit

import httpx
import pytest

from api import connection
from tests.waiting import until

HEAD = b"GET /livez HTTP/1.1\r\nHost: x\r\n"
Connect = Callable[[], socket.socket]


@pytest.fixture
def connect(url: str) -> Iterator[Connect]:
    """Makes connections that are closed after the test."""
    place = urlsplit(url)
    with ExitStack() as connections:
        yield lambda: connections.enter_context(socket.create_connection((place.hostname, place.port), timeout=20))


def reply(client: socket.socket) -> bytes:
    """All that comes until the server closes the connection."""
    parts = []
    while part := client.recv(65536):
        parts.append(part)
    return b"".join(parts)


def problem(replied: bytes) -> tuple[int, int]:
    """The status of a problem document, as the head and the body have it."""
    head, _, body = replied.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head
    return int(head.split()[1]), json.loads(body)["status"]


def gone(client: socket.socket) -> bool:
    """Whether the server's end of a connection is; else it gets a blank line."""
    try:
        client.sendall(b"\r\n")
    except ConnectionError:
        return True
    return False


def test_a_head_that_does_not_come_is_not_waited_for(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "ARRIVAL", 0.2)
    assert reply(connect()) == b""
    client = connect()
    client.sendall(HEAD)
    assert problem(reply(client)) == (408, 408)


def test_a_connection_that_is_kept_open_by_blank_lines_is_closed(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "ARRIVAL", 0.5)
    client = connect()
    client.sendall(HEAD + b"\r\n")
    assert b"alive" in client.recv(65536)
    until(lambda: gone(client), "the server to close it")


def test_a_head_has_bounded_size(connect: Connect) -> None:
    for piece in (b"aa: bb\r\n" * 1000, b"a" * 8000):
        client = connect()
        client.sendall(HEAD)

        def refused(client: socket.socket = client, piece: bytes = piece) -> list[socket.socket]:
            client.sendall(piece)
            return select([client], [], [], 0.1)[0]  # what is sent behind a refusal may undo it

        until(refused, "the head to be refused")
        assert problem(reply(client)) == (431, 431)


def test_a_head_may_come_in_pieces_and_requests_behind_one_another(connect: Connect) -> None:
    client = connect()
    for request in (HEAD + b"\r\n", HEAD + b"Connection: close\r\n\r\n"):
        for place in range(0, len(request), 7):
            client.sendall(request[place : place + 7])
    assert reply(client).count(b"alive") == 2


def test_only_heads_are_hurried(
    connect: Connect, client: httpx.Client, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "ARRIVAL", 0.2)
    slow = connect()
    head = f"PATCH {project} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json"
    slow.sendall(f"{head}\r\nContent-Length: 2\r\nAuthorization: {client.headers['Authorization']}\r\n\r\n{{".encode())
    began = time.monotonic()
    until(lambda: time.monotonic() - began > 0.5, "more time than a head has")
    slow.sendall(b"}")
    assert b" 200 OK" in reply(slow)


def test_a_reply_that_is_not_read_is_not_kept(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "UNREAD", 0.5)
    place = urlsplit(url)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(20)
        client.connect((place.hostname, place.port))
        asked = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"
        client.sendall(asked * 100)  # more than what the server's side of the connection takes in advance
        until(lambda: gone(client), "the server to give it up")


def test_there_are_only_so_many_connections(url: str, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "most", lambda: 2)
    kept = [connect(), connect()]
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{url}/livez")
    kept.pop().close()

    def served() -> bool:
        try:
            return httpx.get(f"{url}/livez").is_success
        except httpx.TransportError:
            return False

    until(served, "room for one more")
