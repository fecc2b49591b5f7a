"""Respondents by skill and volume."""

from typing import NamedTuple

import torch

from cli.report.chart import Chart, logarithmic, shares
from cli.report.figure import Figure, Table, percent, whole
from cli.report.study import Study, clip

SHOWN = 400
SPREAD = 1.05
"""Respondents with equally many answers are drawn apart, by at most this factor."""

MARGIN = 1.25
GOLDEN = 0.6180339887


class _Respondent(NamedTuple):
    name: str
    answers: int
    accuracy: float
    low: float
    high: float
    x: float

    @property
    def interval(self) -> str:
        return f"{percent(self.low)} – {percent(self.high)}"


def respondents(study: Study) -> Figure:
    """Reliability with its interval against the number of answers, of all respondents or an even sample."""
    shown, guess = _sample(study), 1 / study.answers.K
    title = "Respondents by skill and volume"
    volume = [max(each.answers, 1) for each in shown]
    chart = Chart(
        title,
        logarithmic("Answers, on a logarithmic axis", min(volume) / MARGIN, max(volume) * MARGIN, whole=True),
        shares("Reliability"),
        height=380,
    )
    chart.line([(chart.x.low, guess), (chart.x.high, guess)], "reference")
    sound, doubtful = [each for each in shown if each.low > guess], [each for each in shown if each.low <= guess]
    for group, kind in ((sound, ""), (doubtful, " doubtful")):
        chart.whiskers([(each.x, each.low, each.high) for each in group], f"thin whisker{kind}")
    for group, kind in ((sound, ""), (doubtful, " doubtful")):
        for each in group:
            hint = f"{each.name}: {whole(each.answers)} answers, {percent(each.accuracy)} ({each.interval})"
            chart.dot((each.x, each.accuracy), hint, f"dot{kind}", 3.2)
    note = "Vertical lines are 95% intervals. Respondents with equally many answers are drawn a little apart."
    if len(shown) < study.answers.J:
        note += f" {len(shown)} of {study.answers.J:,} respondents, evenly spaced in the order of their volume."
    return Figure(
        name="respondents",
        title=title,
        caption="Look for hollow orange circles far to the right: they answer much, and their interval does not clear "
        f"the dashed line of guessing ({percent(guess)}).",
        charts=(chart.markup(),),
        tables=(
            Table(
                ("Respondent", "Answers", "Reliability", "95% interval"),
                [(each.name, whole(each.answers), percent(each.accuracy), each.interval) for each in shown],
                names=1,
            ),
        ),
        note=note,
    )


def _sample(study: Study) -> list[_Respondent]:
    """The most active first, the order of their keys among equals."""
    answers = study.answers
    volume = torch.bincount(answers.annotator, minlength=answers.J)
    size = min(answers.J, SHOWN)
    places = torch.arange(size) * (answers.J - 1) // max(size - 1, 1)
    chosen = volume.argsort(descending=True, stable=True)[places]
    found = study.model.reliability(study.fit.statistics[chosen], study.fit.prior, form=study.form)
    columns = (chosen, volume[chosen], found.accuracy, found.low, found.high)
    return [
        _Respondent(clip(study.respondents[j]), n, accuracy, low, high, n * SPREAD ** (2 * (place * GOLDEN % 1) - 1))
        for place, (j, n, accuracy, low, high) in enumerate(zip(*(each.tolist() for each in columns), strict=True))
    ]
