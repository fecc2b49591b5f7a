"""A way to the API that loses connections."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpx


class Interruptions:
    """Forwards connections to an upstream; loses or holds its replies. What the upstream did is done all the same.

    Args:
        lose: lose every so many-th reply, together with its connection.
        hold_after: after so many replies no more come, and who waits for one waits.
    """

    def __init__(self, upstream: str, *, lose: int | None = None, hold_after: int | None = None) -> None:
        url = httpx.URL(upstream)
        self._upstream = (url.host, url.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._open = True
        self._lose = lose
        self._hold_after = hold_after
        self._replies = 0
        self.lost = 0
        self.held = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def close(self) -> None:
        """Take no more connections."""
        self._open = False
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while self._open:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            upstream = socket.create_connection(self._upstream)
            threading.Thread(target=self._pump, args=(client, upstream), daemon=True).start()
            threading.Thread(target=self._pump_replies, args=(upstream, client), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        _hang_up(source, sink)

    def _pump_replies(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                with self._lock:
                    self._replies += 1
                    lost = self._lose is not None and self._replies % self._lose == 0
                    held = self._hold_after is not None and self._replies > self._hold_after
                    self.lost += lost
                if held:
                    self.held.set()
                elif lost:
                    break
                else:
                    sink.sendall(data)
        _hang_up(source, sink)


@contextmanager
def interruptions(upstream: str, *, lose: int | None = None, hold_after: int | None = None) -> Iterator[Interruptions]:
    """:class:`Interruptions` in front of `upstream`, closed after the block."""
    made = Interruptions(upstream, lose=lose, hold_after=hold_after)
    try:
        yield made
    finally:
        made.close()


def _hang_up(*connections: socket.socket) -> None:
    for connection in connections:
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        connection.close()
