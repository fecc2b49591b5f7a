"""Computing that yields the processor to whoever answers somebody."""

import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Any, ParamSpec, TypeVar

from torch.overrides import TorchFunctionMode

P = ParamSpec("P")
T = TypeVar("T")

NICE = 10
"""As of nice(2): a tenth of the weight of whatever else wants the processor."""
SPELL = 0.005
"""Seconds of processor time between two rests, at least."""


def courteously(work: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
    """Do it in a thread that is nice, as Linux lets threads be; what it starts is so, too.

    Nothing that others wait for may be held meanwhile: a turn above all, which would last ten times as long.
    """
    pool = ThreadPoolExecutor(1, thread_name_prefix="courteous", initializer=_yield)
    try:
        return pool.submit(copy_context().run, partial(work, *arguments, **options)).result()
    finally:
        pool.shutdown(wait=False)  # a process that is told to end does not wait for what it has begun


def resting(work: Callable[P, T], times: float) -> Callable[P, T]:
    """The same work, which rests so many times as long as it has computed, between operations of torch.

    A nice thread that never waits still takes its part of a busy machine, in slices for which claims of ten
    milliseconds wait: in seconds of it all are late. Rested, it takes longer and is hardly felt.
    """

    def rested(*arguments: P.args, **options: P.kwargs) -> T:
        with _Rests(times):
            return work(*arguments, **options)

    return rested


class _Rests(TorchFunctionMode):
    """Within, in this thread."""

    def __init__(self, times: float) -> None:
        super().__init__()
        self._times = times
        self._woke = time.process_time()

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        found = func(*args, **(kwargs or {}))
        worked = time.process_time() - self._woke
        if worked >= SPELL:
            time.sleep(self._times * worked)
            self._woke = time.process_time()
        return found


def _yield() -> None:
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
