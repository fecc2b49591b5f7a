"""One fit shared by ranks on this machine against the same fit in a single process."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor, distributed

from benchmarks.consensus.contender import answers_of
from benchmarks.consensus.datasets import Arrays, synthetic
from consensus.dawid_skene import MODEL
from consensus.distributed import Ranks, launch

RANKS = (2, 4)
ITERATIONS = 20
CLASSES = 4


@dataclass(frozen=True, slots=True)
class Fitting:
    """A fit to be run by every rank."""

    directory: Path

    def __call__(self, ranks: Ranks) -> tuple[Tensor, float]:
        """Posteriors, and the seconds from the moment when all ranks had their answers."""
        answers = answers_of(Arrays.load(self.directory))
        if ranks.size > 1:
            distributed.barrier()
        start = time.perf_counter()
        fit = replace(MODEL, limit=ITERATIONS).fit(answers, ranks=ranks)
        return fit.posterior, time.perf_counter() - start


def run(directory: Path, quick: bool, say: Callable[[str], None]) -> dict[str, Any]:
    """One thread to a process, so that what is gained is gained by ranks alone."""
    arrays = synthetic(10**5 if quick else 10**6, CLASSES).save(directory)
    fitting = Fitting(arrays)
    say("one process")
    alone, seconds = launch(1, fitting)
    differences, speedups = {}, {}
    for size in RANKS:
        say(f"{size} ranks")
        posterior, shared = launch(size, fitting)
        differences[str(size)] = float((posterior - alone).abs().max())
        speedups[str(size)] = seconds / shared
    return {
        "ranks": list(RANKS),
        "max_difference": max(differences.values()),
        "speedup": speedups[str(RANKS[0])],
        "by_ranks": {size: {"difference": differences[size], "speedup": speedups[size]} for size in speedups},
        "seconds": seconds,
    }
