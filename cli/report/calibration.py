"""Whether a confidence is a probability: against the truth where there is some, else how it is distributed."""

import torch
from torch import Tensor

from cli.report.chart import Chart, linear, shares
from cli.report.figure import Figure, Table, percent, short, whole
from cli.report.study import Study
from consensus.fit import TIE
from consensus.scores import BINS

CURVE = 200
STEADY = 0.1
"""Smaller shares of the challenges do not decide how far down an axis reaches."""
LISTED = 20
Z = 1.96


def reliability(study: Study) -> Figure:
    """Accuracy by confidence in the bins of the calibration error. Needs truth."""
    confidence, right = study.known
    bin_ = (confidence * BINS).ceil().long().clamp(1, BINS) - 1
    sums = torch.zeros(BINS, 3, dtype=right.dtype)
    sums.index_add_(0, bin_, torch.stack([torch.ones_like(right), confidence, right], 1))
    rows = []
    for number in sums[:, 0].nonzero().squeeze(1).tolist():
        count, claimed, correct = sums[number].tolist()
        low, high = _wilson(sums[number, 2] / count, sums[number, 0]).tolist()
        rows.append((number / BINS, (number + 1) / BINS, int(count), claimed / count, correct / count, low, high))

    title = "Reliability curve"
    start = _lowest(study)
    number = linear("Challenges", 0, max(row[2] for row in rows), 2, room=True, whole=True)
    counts = Chart(f"{title}: challenges in each bin", shares("Confidence", start), number, height=150, least_left=50)
    curve = Chart(title, shares("", start), shares("Accuracy"), height=300, least_left=counts.left)
    curve.line([(start, start), (1, 1)], "reference")
    curve.whiskers((claimed, low, high) for _, _, _, claimed, _, low, high in rows)
    for low, high, count, claimed, correct, _, _ in rows:
        hint = f"{whole(count)} challenges, confidence {percent(claimed)}, accuracy {percent(correct)}"
        curve.dot((claimed, correct), hint, radius=3 + 7 * (count / len(right)) ** 0.5)
        counts.bar(max(low, start), high, count, short(count), hint)
    return Figure(
        name="reliability",
        title=title,
        caption="On the diagonal a confidence is a true probability; points below it claim more than they deliver.",
        charts=(curve.markup(), counts.markup()),
        tables=(
            Table(
                ("Confidence", "Challenges", "Mean confidence", "Accuracy", "95% interval"),
                [
                    (f"{percent(a)} – {percent(b)}", whole(n), percent(p), percent(q), f"{percent(c)} – {percent(d)}")
                    for a, b, n, p, q, c, d in rows
                ],
                names=1,
            ),
        ),
        note=f"Challenges with truth: {len(right):,}, in the {BINS} bins of the calibration error; empty bins are "
        "left out. Larger bins have larger points; vertical lines are 95% Wilson intervals.",
    )


def coverage(study: Study) -> Figure:
    """Accuracy of the most confident share of the challenges. Needs truth."""
    confidence, right = study.known
    order = confidence.argsort(descending=True, stable=True)
    confidence, right = confidence[order], right[order]
    total = right.numel()
    number = torch.arange(1, total + 1, dtype=right.dtype)
    accuracy, claimed = right.cumsum(0) / number, confidence.cumsum(0) / number
    low, high = _wilson(accuracy, number)
    table = torch.stack([number / total, accuracy, claimed, low, high, confidence], 1)
    ends = [*(confidence.diff() < -TIE).nonzero().squeeze(1).tolist(), total - 1]  # no threshold parts equals
    rows = table[_thinned(ends, CURVE)].tolist()

    title = "Accuracy by confidence"
    lowest = min(min(row[1:4]) if row[0] >= STEADY else 0.95 for row in rows)
    chart = Chart(title, shares("Share of challenges, the most confident first"), shares("Accuracy", _floor(lowest)))
    chart.band([(share, low, high) for share, _, _, low, high, _ in rows])
    chart.line([(share, mean) for share, _, mean, _, _, _ in rows], "claim")
    chart.line([(share, correct) for share, correct, _, _, _, _ in rows])
    if len(rows) == 1:
        chart.dot((rows[0][0], rows[0][1]), f"all challenges: accuracy {percent(rows[0][1])}")
    return Figure(
        name="coverage",
        title=title,
        caption="The further right the solid line stays high, the more verdicts need no check; where the dashed line, "
        "the mean confidence, runs above it, the confidence promises too much.",
        charts=(chart.markup(),),
        tables=(
            Table(
                ("Most confident", "Confidence at least", "Accuracy", "95% interval", "Mean confidence"),
                [
                    (percent(share), percent(least), percent(correct), f"{percent(a)} – {percent(b)}", percent(mean))
                    for share, correct, mean, a, b, least in table[_thinned(ends, LISTED)].tolist()
                ],
                note=_omitted(len(ends), LISTED, "thresholds"),
            ),
        ),
        note="The band is the 95% Wilson interval. Challenges of equal confidence enter together."
        + _omitted(len(ends), CURVE, "thresholds", " "),
    )


def distribution(study: Study) -> Figure:
    """How many challenges have which confidence: what can be said without truth."""
    counts = torch.histc(study.confidence, LISTED, 0, 1).long().tolist()
    rows = [(n / LISTED, (n + 1) / LISTED, count) for n, count in enumerate(counts)]
    start = _lowest(study)
    rows = [row for row in rows if row[1] > start + 1e-9]
    title = "Confidence"
    chart = Chart(title, shares("Confidence", start), linear("Challenges", 0, max(counts), room=True, whole=True))
    for low, high, count in rows:
        if count:
            chart.bar(low, high, count, short(count), f"{percent(low)} – {percent(high)}: {whole(count)} challenges")
    return Figure(
        name="confidence",
        title=title,
        caption="The more challenges stand at the right, the more is settled; whether rightly, only truth can tell.",
        charts=(chart.markup(),),
        tables=(
            Table(
                ("Confidence", "Challenges"),
                [(f"{percent(low)} – {percent(high)}", whole(count)) for low, high, count in rows],
                names=1,
            ),
        ),
    )


def _wilson(share: Tensor, number: Tensor) -> Tensor:
    """The 95% interval of a share among a number of trials (Wilson 1927): low and high, stacked."""
    spread = Z**2 / number
    half = Z * (share * (1 - share) / number + spread / (4 * number)).clamp(min=0).sqrt()
    return torch.stack([share + spread / 2 - half, share + spread / 2 + half]) / (1 + spread)


def _lowest(study: Study) -> float:
    """A round number that no confidence can be below."""
    return 0.0 if study.answers.K == 1 else _floor(1 / study.answers.K)


def _floor(share: float) -> float:
    return max(0, int(share * 10 + 1e-9)) / 10


def _thinned(places: list[int], most: int) -> list[int]:
    """At most so many of the places, evenly spaced, the first and the last among them."""
    if len(places) <= most:
        return places
    return [places[n * (len(places) - 1) // (most - 1)] for n in range(most)]


def _omitted(there: int, shown: int, what: str, before: str = "") -> str:
    return f"{before}{shown} of {there:,} {what}, evenly spaced." if there > shown else ""
