"""Accuracy and calibration on public data sets, ours beside the peers'."""

from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch

from benchmarks.consensus.datasets import Arrays
from benchmarks.consensus.environment import ours, peer
from consensus.registry import MODELS
from consensus.scores import Scores, score

PEERS = ("MajorityVote", "Wawa", "ZeroBasedSkill", "OneCoinDawidSkene", "DawidSkene", "MACE", "GLAD")
ENOUGH = 100
PATIENCE = 100  # seconds that a peer has for a data set

Table = Mapping[str, Mapping[str, Scores]]  # [method][set]


def run(
    sets: Mapping[str, Path],
    model: str,
    python: Path | None,
    without: set[str],
    quick: bool,
    say: Callable[[str], None],
) -> tuple[dict[str, Any], list[list[str]]]:
    """The figures, and a table of accuracy in percent with a row for each data set."""
    others = [name for name in MODELS if name != model and not quick]
    table: dict[str, dict[str, Scores]] = {}
    for name in [model, "majority", *others]:
        if name not in table:
            say(name)
            for line in ours("accuracy", name, *sets.values()):
                _score(table, name, sets, line)
    for name in PEERS[: 1 if quick else None] if python else ():
        say(f"crowd-kit {name}")
        for line in peer(python, "accuracy", name, 5 if quick else PATIENCE, *sets.values()):
            _score(table, f"crowd-kit {name}", sets, line)
    counted = [name for name in sets if name not in without]
    return figures(table, model, counted), rows(table, sets)


def figures(table: Table, model: str, counted: list[str]) -> dict[str, Any]:
    """The means over the `counted` sets; `_100` over those with at least 100 truths."""
    own, votes = table[model], table["majority"]
    large = [name for name in counted if name in own and own[name].items >= ENOUGH]
    return {
        "model": model,
        "datasets": {name: {**_figures(scores), "counted": name in counted} for name, scores in own.items()},
        "mean": _mean(own, counted),
        "mean_100": _mean(own, large),
        "worst_vs_majority_100": min((_percent(own[name]) - _percent(votes[name]) for name in large), default=None),
        "brier_100": fmean(own[name].brier for name in large) if large else None,
        "log_loss_100": fmean(own[name].log_loss for name in large) if large else None,
        "ece_100": fmean(own[name].ece for name in large) if large else None,
        "peers": {
            name: {
                "mean": _mean(scores, counted),
                "mean_100": _mean(scores, large),
                "datasets": {each: _percent(scores[each]) for each in scores},
                "unfinished": [each for each in counted if each not in scores],
                "ours_on_the_same": _mean(own, [each for each in counted if each in scores]),
            }
            for name, scores in table.items()
            if name != model
        },
    }


def rows(table: Table, sets: Mapping[str, Path]) -> list[list[str]]:
    """A header and a row for each set, accuracies in percent; blank where a method did not finish."""
    lines = [["set", "truths", *table]]
    for name in sets:
        truths = next((str(scores[name].items) for scores in table.values() if name in scores), "0")
        found = (f"{_percent(scores[name]):.1f}" if name in scores else "" for scores in table.values())
        lines.append([name, truths, *found])
    return lines


def _score(table: dict[str, dict[str, Scores]], name: str, sets: Mapping[str, Path], line: dict[str, Any]) -> None:
    scores = table.setdefault(name, {})
    if "failed" in line or not line.get("finished", True):
        return
    directory = sets[line["set"]]
    posterior = torch.from_numpy(np.load(directory / f"{name.removeprefix('crowd-kit ')}.npy"))
    truth = torch.from_numpy(Arrays.load(directory).truth)
    if bool((truth >= 0).any()):
        scores[line["set"]] = score(posterior, truth)


def _percent(scores: Scores) -> float:
    return 100 * scores.accuracy


def _mean(scores: Mapping[str, Scores], names: list[str]) -> float | None:
    found = [_percent(scores[name]) for name in names if name in scores]
    return fmean(found) if found else None


def _figures(scores: Scores) -> dict[str, float]:
    return {
        "accuracy": _percent(scores),
        "log_loss": scores.log_loss,
        "brier": scores.brier,
        "ece": scores.ece,
        "truths": scores.items,
    }
