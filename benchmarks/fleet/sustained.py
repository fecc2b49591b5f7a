"""The highest rate that is graded as fast as it is offered."""

from collections.abc import Callable, Iterator

from benchmarks.fleet.run import Run, offer
from benchmarks.fleet.stack import Stack

TRIAL = 10.0
"""Seconds of a trial run, unless the run itself is shorter."""
FIRST = 4_000.0
"""Answers a second to begin with."""
CLOSE = 1.08
"""The search ends when the lowest rate that was too high is not more than so many times the highest that was not."""
BACK = 0.93
"""A rate that did not hold for the whole time is tried again at so much of it."""
ATTEMPTS = 4


def find(stack: Stack, names: Iterator[str], seconds: float, first: float, say: Callable[[str, Run], None]) -> Run:
    """Double the rate until it is too high, bisect, then hold the rate that was found for the whole time.

    Returns:
        The run that held it; if none did the last one, which is not steady.
    """
    return lowered(stack, names, _search(stack, names, min(TRIAL, seconds), first, say), seconds, say)


def lowered(stack: Stack, names: Iterator[str], rate: float, seconds: float, say: Callable[[str, Run], None]) -> Run:
    """Hold a rate, or a lower one if it does not hold; what is returned is that of `find`."""
    for _ in range(ATTEMPTS):
        run = hold(stack, names, rate, seconds, say)
        if run.steady:
            break
        rate *= BACK
    return run


def hold(stack: Stack, names: Iterator[str], rate: float, seconds: float, say: Callable[[str, Run], None]) -> Run:
    """One run."""
    name = next(names)
    run = offer(stack, name, rate, seconds)
    say(f"{rate:,.0f} answers/s for {seconds:g} s", run)
    return run


def _search(stack: Stack, names: Iterator[str], seconds: float, rate: float, say: Callable[[str, Run], None]) -> float:
    """An overloaded fleet may grade less than it could: what was graded then bounds nothing."""
    high = low = 0.0
    while not high or (low and high / low > CLOSE) or not low:
        if hold(stack, names, rate, seconds, say).flat:
            low = rate
            rate = (low * high) ** 0.5 if high else 2 * rate
        else:
            high = rate
            rate = (low * high) ** 0.5 if low else rate / 2
        if high and high < 1:
            raise RuntimeError("no rate is steady")
    return low
