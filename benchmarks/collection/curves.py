"""What an error costs in answers, along a method's trade-off."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

LEVELS = 20


@dataclass(frozen=True, slots=True)
class Point:
    """One setting of a method: means over challenges and orders."""

    setting: float
    answers: float
    error: float


def cost(curve: Sequence[Point], error: float) -> float:
    """Answers for an error no greater than this, linear between the points that nothing better and cheaper beats."""
    front = frontier(curve)
    for cheap, dear in pairwise(front):
        if dear.error <= error <= cheap.error:
            share = (cheap.error - error) / (cheap.error - dear.error)
            return cheap.answers + share * (dear.answers - cheap.answers)
    return front[0].answers if error >= front[0].error else float("inf")


def frontier(curve: Sequence[Point]) -> list[Point]:
    """The points that no other beats in both, cheapest first."""
    best: list[Point] = []
    for point in sorted(curve, key=lambda each: (each.answers, each.error)):
        if not best or point.error < best[-1].error:
            best.append(point)
    return best


def saved(ours: Sequence[Point], theirs: Sequence[Point]) -> float | None:
    """The mean of 1 - ours / theirs over equally spaced errors along their curve, down to the least that both reach.

    Where they err more than we do at our cheapest, that is what ours costs. None if we reach none of their errors.
    """
    low = max(frontier(ours)[-1].error, frontier(theirs)[-1].error)
    high = min(max(frontier(ours)[0].error, low), frontier(theirs)[0].error)
    if low > high:
        return None
    errors = [low + (high - low) * step / (LEVELS - 1) for step in range(LEVELS)]
    return fmean(1 - cost(ours, error) / cost(theirs, error) for error in errors)
