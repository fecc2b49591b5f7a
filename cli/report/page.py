"""The report of a study as one HTML page that needs nothing else.

Jinja2, which torch brings along, escapes and fills the page; the plots are SVG of our own, since a library would add
either a script (Altair, Plotly, Bokeh) or tens of megabytes and fixed colours (matplotlib).
"""

from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from cli.errors import CliError
from cli.report.calibration import coverage, distribution, reliability
from cli.report.confusion import confusion
from cli.report.entropy import entropy, undecided
from cli.report.figure import Figure
from cli.report.headline import headline
from cli.report.history import history
from cli.report.respondents import respondents
from cli.report.study import Study


def write(path: Path, study: Study) -> None:
    """Write the page of a study.

    Raises:
        CliError: the file cannot be written.
    """
    page = render(study)
    try:
        path.write_text(page, encoding="utf-8", errors="xmlcharrefreplace", newline="\n")
    except OSError as error:
        raise CliError(f"{path}: {error.strerror}") from None


def render(study: Study) -> str:
    """The page as text; equal studies give equal pages."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(files("cli.report").joinpath("page.html.jinja").read_text(encoding="utf-8"))
    return template.render(
        source=study.source, headline=headline(study), figures=_figures(study), undecided=undecided(study)
    )


def _figures(study: Study) -> list[Figure]:
    confidence = [distribution(study)] if study.truth is None else [reliability(study), coverage(study)]
    return [*confidence, confusion(study), respondents(study), entropy(study), history(study)]
