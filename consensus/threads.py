"""Threads that each take a part of the work, instead of threads that meet after every operation.

Between two operations on a part that fits in the cache there is little to do but wait for the other threads; where
cores are shared with other processes, that wait is most of the time. What a part computes does not depend on who
computes it.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

import torch

T = TypeVar("T")
R = TypeVar("R")

_crew: ContextVar[ThreadPoolExecutor | None] = ContextVar("crew", default=None)


@contextmanager
def crew(device: torch.device) -> Iterator[None]:
    """Within, on the CPU, an operation of torch takes one thread, and :func:`each` as many as torch had."""
    threads = torch.get_num_threads()
    if device.type != "cpu" or threads == 1 or _crew.get() is not None:
        yield
        return
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(threads, thread_name_prefix="consensus") as pool:
            token = _crew.set(pool)
            try:
                yield
            finally:
                _crew.reset(token)
    finally:
        torch.set_num_threads(threads)


def each(work: Callable[[T], R], parts: Iterable[T], device: torch.device) -> list[R]:
    """`work` on every part, the results in order."""
    waiting = list(parts)
    if len(waiting) == 1:
        return [work(waiting[0])]
    with crew(device):
        pool = _crew.get()
        return list((map if pool is None else pool.map)(work, waiting))
