"""How the fit got where it is."""

from cli.report.chart import Chart, linear, logarithmic
from cli.report.figure import Figure, Table, whole
from cli.report.study import Study

CURVE = 250
LISTED = 20
LEAST = 1e-16


def history(study: Study) -> Figure:
    """The objective at each iteration; of models without one the distance to a fixed point."""
    fit = study.fit
    values = fit.objective or fit.residuals
    if not values:
        return Figure("history", "Objective", f"{fit.model} does not iterate, and so there is no history.", (), ())
    if fit.objective:
        title, unit = "Objective", "Log of what the model maximises"
        caption = "The curve must never fall, and its flat end says that more iterations would change nothing."
        y = linear(unit, min(values), max(values), 5, room=True)
    else:
        title, unit = "Distance to a fixed point", "Distance, on a logarithmic axis"
        caption = "The curve should fall by orders of magnitude, or the model has not settled."
        values = tuple(max(value, LEAST) for value in values)
        y = logarithmic(unit, min(values), max(values))
    steps = len(values)
    chart = Chart(title, linear("Iteration", 1, max(steps, 2), whole=True), y)
    points = [(n + 1, values[n]) for n in _spaced(steps, CURVE)]
    chart.line(points)
    chart.dot(points[-1], f"iteration {steps}: {values[-1]:,.4f}")
    return Figure(
        name="history",
        title=title,
        caption=caption,
        charts=(chart.markup(),),
        tables=(
            Table(
                ("Iteration", title),
                [
                    (whole(n + 1), f"{values[n]:,.4f}" if fit.objective else f"{values[n]:.3e}")
                    for n in _spaced(steps, LISTED)
                ],
                note=f"{LISTED} of {steps} iterations, evenly spaced." if steps > LISTED else "",
            ),
        ),
        note=f"{CURVE} of {steps:,} iterations are drawn, evenly spaced." if steps > CURVE else "",
    )


def _spaced(size: int, most: int) -> list[int]:
    """At most so many of 0 to size - 1, the ends among them."""
    return list(range(size)) if size <= most else [n * (size - 1) // (most - 1) for n in range(most)]
