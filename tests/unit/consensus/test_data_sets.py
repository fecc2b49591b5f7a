"""The public models on public data: as measured when they were written, so that a change that moves one says so."""

import csv
from pathlib import Path

import pytest
import torch

from consensus.answers import Answers
from consensus.form import Form
from consensus.registry import MODELS
from consensus.scores import score

DATA = Path(__file__).parents[3].parent / "shared" / "data"

pytestmark = [pytest.mark.data, pytest.mark.skipif(not DATA.is_dir(), reason="the public data sets are not here")]

NAMES = ("wawa", "zero-based-skill", "mace", "glad", "ibcc", "cbcc", "ebcc")
ACCURACY = {
    "barzan": (69.6, 69.6, 70.4, 69.3, 70.2, 70.2, 70.4),
    "bluebird": (75.9, 75.9, 87.0, 72.2, 88.9, 88.9, 89.8),
    "labelme": (77.3, 77.2, 78.3, 77.6, 78.2, 78.4, 78.0),
    "rte": (92.1, 92.1, 92.9, 92.5, 93.0, 93.2, 93.1),
    "zc_in": (74.5, 74.5, 79.1, 76.6, 79.4, 79.3, 78.2),
}
KOS = {"barzan": 65.8, "bluebird": 72.2, "rte": 49.8, "zc_in": 75.0}


def read(name: str) -> tuple[Answers, torch.Tensor]:
    with (DATA / name / "answers.csv").open(newline="") as file:
        rows = sorted({(row["task"], row["worker"], row["label"]) for row in csv.DictReader(file)})
    with (DATA / name / "truth.csv").open(newline="") as file:
        truth = {row["task"]: row["label"] for row in csv.DictReader(file)}
    keys = [sorted(set(column), key=str.encode) for column in zip(*rows, strict=True)]
    codes = [{key: code for code, key in enumerate(column)} for column in keys]
    item, annotator, label = torch.tensor(
        [[code[key] for code, key in zip(codes, row, strict=True)] for row in rows]
    ).T.contiguous()
    known = torch.tensor([codes[2].get(truth.get(key, ""), -1) for key in keys[0]])
    return Answers(item, annotator, label, len(keys[0]), len(keys[1]), len(keys[2])), known


@pytest.mark.parametrize("name", ACCURACY)
def test_accuracy(name: str) -> None:
    answers, truth = read(name)
    for model, expected in zip(NAMES, ACCURACY[name], strict=True):
        fit = MODELS[model].fit(answers, form=Form.FULL)
        assert fit.converged or model == "cbcc", model  # whose communities may take longer to grow alike
        assert 100 * score(fit.posterior, truth).accuracy == pytest.approx(expected, abs=0.3), model


@pytest.mark.parametrize("name", KOS)
def test_messages_settle(name: str) -> None:
    answers, truth = read(name)
    fit = MODELS["kos"].fit(answers)

    assert fit.residuals[-1] <= 1e-6
    assert 100 * score(fit.posterior, truth).accuracy == pytest.approx(KOS[name], abs=0.3)
