"""Knowing that the server is about to stop while its replies still run.

uvicorn waits for open replies before it ends the lifespan, and a stream that waits for events would keep it waiting
until its patience is over. Only the signal comes before.
"""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def before_stopping(action: Callable[[], None]) -> Iterator[None]:
    """Call it in this event loop when a signal tells the server to stop, beside whatever listens to the signal already.

    Outside the main thread there are no signals, and nothing is called.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    present = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def told(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(action)
        listener = present[signal.Signals(number)]
        if callable(listener):
            listener(number, frame)

    for number, listener in present.items():
        if callable(listener):
            signal.signal(number, told)
    try:
        yield
    finally:
        for number, listener in present.items():
            if callable(listener):
                signal.signal(number, listener)
