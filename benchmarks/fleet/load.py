"""The gateway: a process that sends encoded POSTs at their times, whether or not earlier ones were answered.

    python -m benchmarks.fleet.load REQUESTS SIZE PORT RATE SECONDS CONNECTIONS SEED OUT

RATE is in POSTs a second, at exponential distances; 0 sends as fast as replies come. A POST whose time has come while
all connections are busy waits for one: its latency counts from its time. OUT gets `scheduled`, `began` and `replied`,
seconds since the epoch, and `status`, 0 where no reply came or
nothing was sent.
"""

import asyncio
import gc
import sys
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import cast

import numpy as np
import uvloop

_PATIENCE = 30.0
"""Seconds that the last replies are waited for."""
_TICK = 0.001


class Gateway:
    """Sends requests over connections that carry one at a time.

    Args:
        requests: (P, size) bytes.
        scheduled: (P,) seconds since the epoch, ascending; of the run's beginning where all go as fast as they can.
        end: seconds since the epoch after which none is sent any more.
    """

    def __init__(self, requests: np.ndarray, scheduled: np.ndarray, end: float, port: int, connections: int) -> None:
        self.requests = requests
        self.scheduled = scheduled
        self.replied = np.full(len(requests), np.nan)
        self.status = np.zeros(len(requests), dtype=np.int16)
        self.began = np.full(len(requests), np.nan)
        self.sent = 0
        self._end = end
        self._port = port
        self._connections = connections
        self._idle: deque[Connection] = deque()
        self._times = scheduled.tolist()
        self._answered = 0
        self._done = asyncio.Event()
        self._opening: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Send all, and wait for the replies."""
        await asyncio.gather(*(self.connect() for _ in range(self._connections)))
        while not self._over(time.time()):
            self.send()
            due = self._times[self.sent] if self.sent < len(self._times) else 0.0
            await asyncio.sleep(max(due - time.time(), _TICK))
        if self._answered < self.sent:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._done.wait(), _PATIENCE)

    def _over(self, now: float) -> bool:
        return self.sent == len(self._times) or now >= self._end

    async def connect(self) -> None:
        """Open one more connection."""
        await asyncio.get_running_loop().create_connection(lambda: Connection(self), "127.0.0.1", self._port)

    def ready(self, connection: "Connection") -> None:
        """A connection can take the next request; the least recently used one is first."""
        self._idle.append(connection)
        self.send()

    def lost(self, connection: "Connection") -> None:
        """The server closed a connection, as it does with idle ones: open another."""
        if connection in self._idle:
            self._idle.remove(connection)
        task = asyncio.ensure_future(self.connect())
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    def send(self) -> None:
        """Send what is due, as far as connections are free."""
        now = time.time()
        while self._idle and not self._over(now) and self._times[self.sent] <= now:
            self.began[self.sent] = now
            self._idle.popleft().post(self.sent, self.requests[self.sent].data)
            self.sent += 1

    def answer(self, number: int, status: int) -> None:
        """Note a reply."""
        self.replied[number] = time.time()
        self.status[number] = status
        self._answered += 1
        if self._answered == self.sent and self._over(time.time()):
            self._done.set()


class Connection(asyncio.Protocol):
    """HTTP/1.1, kept alive, no pipelining; understands what our API replies and no more."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._number = -1
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._gateway.ready(self)

    def post(self, number: int, request: memoryview) -> None:
        self._number = number
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, blank, body = self._buffer.partition(b"\r\n\r\n")
        if not blank:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(body) < length:
            return
        self._buffer = b""
        number, self._number = self._number, -1
        self._gateway.answer(number, int(head[9:12]))
        self._gateway.ready(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the signature is asyncio's
        if self._number >= 0:
            self._gateway.answer(self._number, 0)
        self._gateway.lost(self)


def times(rate: float, seconds: float, count: int, seed: int, start: float) -> np.ndarray:
    """(P,) when POSTs are due: a Poisson process of this rate, or all at the beginning."""
    if not rate:
        return np.full(count, start)
    gaps = np.random.default_rng(seed).exponential(1 / rate, count)
    due = np.cumsum(gaps)
    return start + due[due < seconds]


def main(path: str, size: str, port: str, rate: str, seconds: str, connections: str, seed: str, out: str) -> None:
    requests = np.memmap(path, dtype=np.uint8, mode="r").reshape(-1, int(size))
    start = time.time() + 0.5  # time to connect
    scheduled = times(float(rate), float(seconds), len(requests), int(seed), start)
    gateway = Gateway(requests[: len(scheduled)], scheduled, start + float(seconds), int(port), int(connections))
    gc.collect()
    gc.freeze()
    gc.disable()
    uvloop.run(gateway.run())
    columns = {name: getattr(gateway, name) for name in ("scheduled", "began", "replied", "status")}
    np.savez(Path(out), start=start, **columns)


if __name__ == "__main__":
    main(*sys.argv[1:])
