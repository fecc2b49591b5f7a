"""crowd-kit in a process of its own, run by the interpreter of the peers' environment: one JSON object per line.

contender.py speed DIRECTORY ITERATIONS      time, memory and accuracy of Dawid-Skene on item.npy, annotator.npy, ...
contender.py accuracy METHOD SECONDS SET...  posteriors of one method on folders of the same form, into METHOD.npy
"""

import json
import signal
import sys
import time
import warnings
from pathlib import Path
from types import FrameType

import numpy as np
import pandas as pd
from crowdkit import aggregation

warnings.simplefilter("ignore")


def memory(field: str) -> int:
    """VmRSS or VmHWM of this process, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def frame_of(directory: Path) -> pd.DataFrame:
    columns = {"task": "item", "worker": "annotator", "label": "label"}
    return pd.DataFrame({column: np.load(directory / f"{name}.npy") for column, name in columns.items()})


def speed(directory: Path, iterations: int) -> None:
    imported = memory("VmRSS")
    frame = frame_of(directory)
    aggregation.DawidSkene(n_iter=1).fit_predict(frame.head(1000))
    start = time.perf_counter()
    found = aggregation.DawidSkene(n_iter=iterations).fit_predict(frame)
    seconds = time.perf_counter() - start
    truth = np.load(directory / "truth.npy")
    accuracy = float((found.sort_index().to_numpy() == truth[np.unique(frame["task"])]).mean())
    peak = memory("VmHWM")
    print(json.dumps({"seconds": seconds, "imported": imported, "peak": peak, "accuracy": accuracy}), flush=True)


def accuracy(method: str, limit: int, directories: list[Path]) -> None:
    def give_up(_signum: int, _frame: FrameType | None) -> None:
        raise TimeoutError

    signal.signal(signal.SIGALRM, give_up)
    for directory in directories:
        shape = np.load(directory / "shape.npy")
        posterior = np.zeros((shape[0], shape[2]))
        signal.alarm(limit)
        try:
            model = getattr(aggregation, method)()
            model.fit_predict(frame_of(directory))
            probabilities = model.probas_
            values = probabilities.to_numpy()
            posterior[np.ix_(probabilities.index.to_numpy(), probabilities.columns.to_numpy())] = values
            finished = bool(np.isfinite(values).all())
        except Exception as error:  # noqa: BLE001 - whatever a peer raises is a result
            print(json.dumps({"set": directory.name, "failed": repr(error)[:100]}), flush=True)
            continue
        finally:
            signal.alarm(0)
        np.save(directory / f"{method}.npy", posterior)
        print(json.dumps({"set": directory.name, "finished": finished}), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "speed":
        speed(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        accuracy(sys.argv[2], int(sys.argv[3]), [Path(name) for name in sys.argv[4:]])
