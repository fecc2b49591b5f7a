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


def courteously(work: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
    """Do it in a thread that is nice, as Linux lets threads be; what it starts is so, too.

    Nothing that others wait for may be held meanwhile: a turn above all, which would last ten times as long.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="courteous", initializer=_yield) as pool:
        return pool.submit(copy_context().run, partial(work, *arguments, **options)).result()


def _yield() -> None:
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
