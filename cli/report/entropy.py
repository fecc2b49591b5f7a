"""How undecided the challenges are."""

import math
from itertools import pairwise

import torch

from cli.report.chart import Chart, linear
from cli.report.figure import Figure, Table, percent, short, whole
from cli.report.study import Study, clip

BARS = 20
NAMED = 10


def entropy(study: Study) -> Figure:
    """Challenges by the entropy of their posterior, and those that have most of it."""
    limit = math.log2(study.answers.K)
    most = limit or 1.0
    counts = torch.histc(study.entropy.clamp(max=most), BARS, 0, most).long().tolist()
    title = "Challenges by entropy"
    axis = linear(f"Entropy of the posterior, in bits (at most log₂ {study.answers.K} = {limit:.2f})", 0, most)
    chart = Chart(title, axis, linear("Challenges", 0, max(counts), room=True, whole=True))
    edges = [most * n / BARS for n in range(BARS + 1)]
    spans = [f"{low:.2f} – {high:.2f}" for low, high in pairwise(edges)]
    for number, count in enumerate(counts):
        if count:
            hint = f"{spans[number]} bits: {whole(count)} challenges"
            chart.bar(edges[number], edges[number + 1], count, short(count), hint)
    return Figure(
        name="entropy",
        title=title,
        caption="What stands at the right is undecided and would gain most from more answers.",
        charts=(chart.markup(),),
        tables=(
            Table(
                ("Entropy in bits", "Challenges"),
                [(span, whole(count)) for span, count in zip(spans, counts, strict=True)],
                names=1,
            ),
        ),
    )


def undecided(study: Study) -> Table:
    """The challenges with the highest entropy, in the order of their keys where it is equal."""
    volume = torch.bincount(study.answers.item, minlength=study.answers.I)
    verdict, ties = study.fit.answer, study.fit.ties
    chosen = study.entropy.argsort(descending=True, stable=True)[:NAMED].tolist()
    return Table(
        ("Challenge", "Verdict", "Confidence", "Entropy in bits", "Answers"),
        [
            (
                clip(study.challenges[i]),
                clip(study.classes[int(verdict[i])]) + (f" ({int(ties[i])} tied)" if int(ties[i]) > 1 else ""),
                percent(float(study.confidence[i])),
                f"{float(study.entropy[i]):.2f}",
                whole(int(volume[i])),
            )
            for i in chosen
        ],
        names=2,
    )
