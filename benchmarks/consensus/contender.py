"""Touchstone in a process of its own: one JSON object per line.

contender speed DIRECTORY ITERATIONS DTYPE    time, memory and accuracy of Dawid-Skene
contender accuracy MODEL SET...               published probabilities on folders of the same form, into MODEL.npy
"""

import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.consensus.datasets import Arrays
from consensus import dawid_skene, registry
from consensus.answers import Answers
from consensus.form import Form

COPIED = 2**27  # bytes
FEW = 2  # iterations: the rest of the time is preparation


def memory(field: str) -> int:
    """VmRSS or VmHWM of this process, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def answers_of(arrays: Arrays) -> Answers:
    item, annotator, label = (torch.from_numpy(codes) for codes in (arrays.item, arrays.annotator, arrays.label))
    return Answers(item, annotator, label, *arrays.shape)


def speed(directory: Path, iterations: int, dtype: torch.dtype) -> None:
    imported = memory("VmRSS")
    small = torch.zeros(10, dtype=torch.int64)
    dawid_skene.MODEL.fit(Answers(small, small, small, 1, 1, 2), dtype=dtype)
    arrays = Arrays.load(directory)
    start = time.perf_counter()
    answers = answers_of(arrays)
    fit = replace(dawid_skene.MODEL, limit=iterations).fit(answers, dtype=dtype)
    seconds = time.perf_counter() - start
    peak = memory("VmHWM")
    accuracy = float((fit.answer.numpy() == arrays.truth).mean())
    start = time.perf_counter()
    replace(dawid_skene.MODEL, limit=FEW).fit(answers, dtype=dtype)
    slope = (seconds - (time.perf_counter() - start)) / (iterations - FEW)
    print(
        json.dumps(
            {
                "seconds": seconds,
                "imported": imported,
                "peak": peak,
                "accuracy": accuracy,
                "ns": 1e9 * slope / answers.N,
                "bandwidth_share": traffic(answers, dtype) / slope / bandwidth(),
            }
        ),
        flush=True,
    )


def traffic(answers: Answers, dtype: torch.dtype) -> int:
    """Bytes that an iteration must move if nothing stays in a cache.

    A place and a row of a table for each answer in either step; each table written once, the annotators' read twice.
    """
    row = answers.K * dtype.itemsize
    return answers.N * 2 * (4 + row) + answers.I * row + 3 * answers.J * answers.K * row


def bandwidth() -> float:
    """Bytes read and written per second by a copy, the best of 5."""
    source = torch.ones(COPIED // 8, dtype=torch.float64)
    target = torch.empty_like(source)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        target.copy_(source)
        times.append(time.perf_counter() - start)
    return 2 * COPIED / min(times)


def accuracy(name: str, directories: list[Path]) -> None:
    model = registry.get(name)
    for directory in directories:
        arrays = Arrays.load(directory)
        start = time.perf_counter()
        try:
            fit = model.fit(answers_of(arrays), form=None if arrays.shared else Form.COIN)
        except Exception as error:  # noqa: BLE001 - a model that refuses a set is a result
            print(json.dumps({"set": directory.name, "failed": repr(error)[:100]}), flush=True)
            continue
        np.save(directory / f"{name}.npy", fit.published.numpy())
        found = {"iterations": fit.iterations, "converged": fit.converged, "seconds": time.perf_counter() - start}
        print(json.dumps({"set": directory.name, **found}), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "speed":
        speed(Path(sys.argv[2]), int(sys.argv[3]), getattr(torch, sys.argv[4]))
    else:
        accuracy(sys.argv[2], [Path(name) for name in sys.argv[3:]])
