"""What the population answers, given what is true."""

import torch
from torch import Tensor

from cli.report.figure import Figure, Table, percent, whole
from cli.report.heat_map import heat_map
from cli.report.study import CHUNK, Study, clip

LISTED = 20


def confusion(study: Study) -> Figure:
    """Expected counts of all respondents, by true class and answer; shares of the rows are drawn."""
    counts = expected_counts(study)
    rows = counts / counts.sum(1, keepdim=True).clamp(min=1e-300)
    names = [clip(key) for key in study.classes]
    if len(names) <= LISTED:
        table = Table(
            ("True class", "Expected answers", *names),
            [
                (name, whole(float(total)), *(percent(share) for share in row))
                for name, total, row in zip(names, counts.sum(1), rows.tolist(), strict=True)
            ],
            names=1,
        )
    else:
        table = _largest(counts, rows, names)
    title = "Confusion of the population"
    return Figure(
        name="confusion",
        title=title,
        caption="Strong cells off the diagonal are mistakes that many make alike, which more answers do not vote away.",
        charts=(heat_map(title, rows.tolist(), names),),
        tables=(table,),
        note="Each row shares out the answers to challenges of one true class, as the fit infers it. The shade grows "
        "with the square root of the share.",
    )


def expected_counts(study: Study) -> Tensor:
    """(K, K) [true class, label]: the sum over answers of the posterior of the challenge."""
    answers = study.answers
    counts = torch.zeros(answers.K, answers.K, dtype=torch.float64)
    for item, label in zip(answers.item.split(CHUNK), answers.label.split(CHUNK), strict=True):
        counts.index_add_(0, label, study.fit.posterior[item])
    return counts.T


def _largest(counts: Tensor, rows: Tensor, names: list[str]) -> Table:
    """The mistakes made most often, where the whole matrix is too much to read."""
    off = counts.clone().fill_diagonal_(0)
    most = off.flatten().argsort(descending=True, stable=True)[: 2 * LISTED].tolist()
    size = len(names)
    return Table(
        ("True class", "Answer", "Expected answers", "Share of the class"),
        [
            (
                names[cell // size],
                names[cell % size],
                f"{float(off.flatten()[cell]):,.1f}",
                percent(float(rows.flatten()[cell])),
            )
            for cell in most
        ],
        names=2,
        note=f"The {len(most)} most frequent of {size * (size - 1):,} mistakes.",
    )
