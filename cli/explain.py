"""`touchstone explain`: why a verdict is what it is."""

from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli.client import connect, project_path
from cli.listing import cell, show_json
from config.settings import load


def explain(
    challenge: Annotated[str, typer.Argument(metavar="CHALLENGE", help="Key of the challenge.")],
    project: Annotated[str, typer.Option(help="Name of the project.")],
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what a verdict is made of, and the fewest answers and respondents without which it is another."""
    with connect(load()) as client:
        found = client.get(project_path(project, "explanations", challenge))
    if json:
        show_json(found)
        return
    console = Console(highlight=False, soft_wrap=True)
    if found["runner_up"] is None:
        console.print(Text(f"{cell(found['challenge'])}: {cell(found['winner'])} is the only class there is"))
        return
    console.print(_account(found))
    for unit in ("answers", "respondents"):
        console.print(Text(_budget(unit, found, exact=found["exact"])))


def _account(found: dict[str, Any]) -> Table:
    title = f"{cell(found['challenge'])}: {cell(found['winner'])} against {cell(found['runner_up'])}"
    table = Table(title=Text(f"{title}, version {found['version']}"), title_justify="left")
    for heading in ("respondent", "answer"):
        table.add_column(heading)
    table.add_column("reliability", justify="right", no_wrap=True)
    table.add_column("log-odds" if found["scale"] == "log" else "share", justify="right", no_wrap=True)
    table.add_row("prior", "", "", _term(found["prior"]))
    table.add_section()
    for answer in sorted(found["answers"], key=lambda each: -each["contribution"]):
        belief = answer["reliability"]
        table.add_row(
            Text(cell(answer["respondent"])),
            Text(cell(answer["answer"])),
            "-" if belief is None else f"{belief['accuracy']:.1%}",
            _term(answer["contribution"]),
        )
    if others := found["others"]:
        table.add_row(f"{others['answers']:,} others", "", "", _term(others["contribution"]))
    table.add_section()
    for step in found["steps"]:
        table.add_row(Text(step["name"]), "", "", _term(step["value"]))
    table.add_row("total", "", "", _term(found["total"]))
    return table


def _term(value: float) -> str:
    return f"{value:+.4f}"


def _budget(unit: str, found: dict[str, Any], *, exact: bool) -> str:
    fewest, count = found[f"fewest_{unit}"], found[f"fewest_{unit}_count"]
    if fewest is None:
        return f"It would be the same without any {unit}."
    if not fewest:
        return "With reliabilities as they are by now the verdict would be another already."
    most = "" if exact else "at most "
    named = ", ".join(cell(each) for each in (fewest if unit == "respondents" else [_given(each) for each in fewest]))
    more = ", ..." if count > len(fewest) else ""
    return f"It would be another without {most}{count:,} {unit}: {named}{more}"


def _given(answer: dict[str, Any]) -> str:
    return f"{answer['respondent']} ({answer['answer']})"
