"""Folders of public data sets, and synthetic crowds of any size, as arrays on disk that every contender reads.

A folder has `datasets.json`, a list of objects with `name` and `kind`, and for each a folder with `answers.csv` (task,
worker, label) and `truth.csv` (task, label), gzipped or not. Exact copies of an answer are dropped. Keys are numbered
by their bytes.
"""

import csv
import gzip
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

KINDS = ("binary", "multiclass", "multiclass-heterogeneous")
SEED = 20240613
ANSWERS_EACH = 5
CHALLENGES_EACH = 20
SPAMMERS = 0.1
SLICE = 200_000


@dataclass(frozen=True, slots=True, eq=False)
class Arrays:
    """Answers as codes, in the order of the source; truth is -1 where it is unknown."""

    name: str
    shared: bool  # an option means the same in every challenge
    item: np.ndarray
    annotator: np.ndarray
    label: np.ndarray
    truth: np.ndarray
    shape: tuple[int, int, int]  # I, J, K

    def save(self, parent: Path) -> Path:
        directory = parent / self.name
        directory.mkdir(parents=True, exist_ok=True)
        for field in ("item", "annotator", "label", "truth"):
            np.save(directory / f"{field}.npy", getattr(self, field))
        np.save(directory / "shape.npy", np.array([*self.shape, self.shared]))
        return directory

    @classmethod
    def load(cls, directory: Path) -> "Arrays":
        I, J, K, shared = np.load(directory / "shape.npy").tolist()
        codes = [np.load(directory / f"{field}.npy") for field in ("item", "annotator", "label", "truth")]
        return cls(directory.name, bool(shared), *codes, (I, J, K))


def read(data: Path) -> list[Arrays]:
    """The data sets of single choices in a folder."""
    index = json.loads((data / "datasets.json").read_text())
    return [_read(data / entry["name"], entry["kind"]) for entry in index if entry["kind"] in KINDS]


def _read(directory: Path, kind: str) -> Arrays:
    columns = ("task", "worker", "label")
    rows = list(dict.fromkeys(tuple(row[name] for name in columns) for row in _rows(directory, "answers")))
    truth = {row["task"]: row["label"] for row in _rows(directory, "truth")}
    items, annotators = _codes(row[0] for row in rows), _codes(row[1] for row in rows)
    labels = _codes([*(row[2] for row in rows), *(label for task, label in truth.items() if task in items)])
    known = np.full(len(items), -1)
    for task, label in truth.items():
        if task in items:
            known[items[task]] = labels[label]
    return Arrays(
        name=directory.name,
        shared=kind != "multiclass-heterogeneous",
        item=np.array([items[row[0]] for row in rows]),
        annotator=np.array([annotators[row[1]] for row in rows]),
        label=np.array([labels[row[2]] for row in rows]),
        truth=known,
        shape=(len(items), len(annotators), len(labels)),
    )


def _rows(directory: Path, stem: str) -> list[dict[str, str]]:
    plain = directory / f"{stem}.csv"
    if plain.exists():
        with plain.open(encoding="utf-8", newline="") as stream:
            return list(csv.DictReader(stream))
    with gzip.open(f"{plain}.gz", "rt", encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def _codes(keys: Iterable[str]) -> dict[str, int]:
    return {key: code for code, key in enumerate(sorted(set(keys), key=str.encode))}


def synthetic(N: int, K: int, J: int | None = None) -> Arrays:
    """N answers, 5 to a challenge and 100 from a respondent, of whom a tenth guess; equal arguments, equal answers.

    With J, from so many respondents.

    A skilled respondent is right with probability Beta(6, 3), and errs by weights drawn from an exponential
    distribution for each true class. Answers come in 5 rounds, each with every challenge once.
    """
    random = np.random.default_rng(SEED)
    I = N // ANSWERS_EACH
    J = J or I // CHALLENGES_EACH
    truth = random.choice(K, size=I, p=random.dirichlet(np.full(K, 10.0)))
    skill = random.beta(6, 3, size=J)
    guessing = random.random(J) < SPAMMERS
    skill[guessing] = 1 / K
    rows = random.exponential(1.0, size=(J, K, K))
    rows[guessing] = 1
    diagonal = np.arange(K)
    rows[:, diagonal, diagonal] = 0
    rows *= ((1 - skill)[:, None] / rows.sum(2))[:, :, None]
    rows[:, diagonal, diagonal] = skill[:, None]
    below = rows.cumsum(2)
    annotator = np.empty((ANSWERS_EACH, I), dtype=np.int64)
    label = np.empty((ANSWERS_EACH, I), dtype=np.int64)
    for who, said in zip(annotator, label, strict=True):
        who[random.permutation(I)] = np.arange(I) % J
        draw = random.random(I)
        for start in range(0, I, SLICE):
            part = slice(start, start + SLICE)
            said[part] = (below[who[part], truth[part]] < draw[part, None]).sum(1)
    item = np.tile(np.arange(I), ANSWERS_EACH)
    labels = np.minimum(label.ravel(), K - 1)
    return Arrays(f"synthetic-{N}-{K}", True, item, annotator.ravel(), labels, truth, (I, J, K))
