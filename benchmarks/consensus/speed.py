"""Time and memory of Dawid-Skene on synthetic crowds, ours and crowd-kit's in turn."""

from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.consensus.datasets import synthetic
from benchmarks.consensus.environment import ours, peer

SIZES = ((10**6, 2), (10**6, 10), (10**7, 2), (10**7, 10))
QUICK_SIZES = ((10**5, 2), (10**5, 10))
ITERATIONS = 10
LARGE = 10**7  # from here on the whole peak counts, not what is above the imports
DTYPES = ("float64", "float32")


def run(directory: Path, python: Path, rounds: int, quick: bool, say: Callable[[str], None]) -> dict[str, Any]:
    """For each size the medians over alternating rounds; a single round at 10^7."""
    found = {}
    for N, K in QUICK_SIZES if quick else SIZES:
        say(f"{N:.0e} answers, K = {K}: making them")
        arrays = synthetic(N, K).save(directory)
        runs: dict[str, list[dict[str, Any]]] = {name: [] for name in (*DTYPES, "peer")}
        for number in range(1 if quick or N >= LARGE else rounds):
            for dtype in DTYPES:
                say(f"{N:.0e} answers, K = {K}: ours in {dtype}, round {number + 1}")
                runs[dtype] += ours("speed", arrays, ITERATIONS, dtype)
            say(f"{N:.0e} answers, K = {K}: crowd-kit, round {number + 1}")
            runs["peer"] += peer(python, "speed", arrays, ITERATIONS)
        found[f"1e{len(str(N)) - 1},{K}"] = _figures(N, {name: _medians(each) for name, each in runs.items()})
        for path in arrays.iterdir():
            path.unlink()
    return found


def _medians(runs: list[dict[str, float]]) -> dict[str, float]:
    return {key: median(run[key] for run in runs) for key in runs[0]}


def _figures(N: int, medians: dict[str, dict[str, float]]) -> dict[str, Any]:
    theirs = medians["peer"]
    each = {dtype: _against(medians[dtype], theirs, whole=N >= LARGE) for dtype in DTYPES}
    return {**each["float64"], "dtype": "float64", "float32": each["float32"]}


def _against(mine: dict[str, float], theirs: dict[str, float], *, whole: bool) -> dict[str, float]:
    base, peer_base = (0.0, 0.0) if whole else (mine["imported"], theirs["imported"])
    return {
        "ours_s": mine["seconds"],
        "peer_s": theirs["seconds"],
        "ratio": theirs["seconds"] / mine["seconds"],
        "rss_ratio": (mine["peak"] - base) / (theirs["peak"] - peer_base),
        "ours_rss_mb": (mine["peak"] - base) / 2**20,
        "peer_rss_mb": (theirs["peak"] - peer_base) / 2**20,
        "ns_per_answer_iteration": mine["ns"],
        "bandwidth_share": mine["bandwidth_share"],
        "ours_accuracy": 100 * mine["accuracy"],
        "peer_accuracy": 100 * theirs["accuracy"],
    }
