"""Computing that yields the processor to whoever answers somebody."""

import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

NICE = 10
"""As of nice(2): a tenth of the weight of whatever else wants the processor."""
NICEST = 19
"""A seventieth. Not less: whoever holds the interpreter's lock must come to let go of it."""


def courteously(work: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
    """Do it in a thread that is nice, as Linux lets threads be; what it starts is so, too.

    Nothing that others wait for may be held meanwhile: a turn above all, which would last ten times as long.
    """
    return _aside(NICE, partial(work, *arguments, **options))


def idly(work: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
    """The same with what nobody waits for."""
    return _aside(NICEST, partial(work, *arguments, **options))


def _aside(nice: int, work: Callable[[], T]) -> T:
    with ThreadPoolExecutor(1, thread_name_prefix="aside", initializer=_yield, initargs=(nice,)) as pool:
        return pool.submit(copy_context().run, work).result()


def _yield(nice: int) -> None:
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), nice)
