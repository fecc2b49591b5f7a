"""What the demo found, for people."""

from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from cli.simulated import SimulatedCrowd
from db import ledger
from db.ledger import LedgerRow

_SHOWN = 5


@dataclass(frozen=True)
class Outcome:
    """The demo in figures; accuracies are shares of all challenges."""

    answers: int
    graded: int
    lost: int
    accuracy: float
    majority_accuracy: float
    answers_per_second: float


def show(outcome: Outcome, crowd: SimulatedCrowd, respondents: list[dict[str, Any]], row: LedgerRow) -> None:
    """Print accuracy against majority, the extremes among the respondents, the ledger and the speed."""
    console = Console(highlight=False)
    scores = Table(title="Against the simulated truth", title_justify="left")
    scores.add_column("")
    scores.add_column("accuracy", justify="right")
    scores.add_row("Touchstone, final verdicts", f"{outcome.accuracy:.1%}")
    scores.add_row("majority, ties split", f"{outcome.majority_accuracy:.1%}")
    console.print(scores)

    ranked = sorted(respondents, key=lambda each: each["accuracy"], reverse=True)
    people = Table(title="Most and least reliable respondents", title_justify="left")
    for heading in ("respondent", "really"):
        people.add_column(heading, no_wrap=True)
    for heading in ("answers", "reliability", "95 % interval", "true skill"):
        people.add_column(heading, justify="right", no_wrap=True)
    for each in [*ranked[:_SHOWN], None, *ranked[-_SHOWN:]]:
        if each is None:
            people.add_section()
            continue
        truly = crowd.respondents[each["respondent"]]
        low, high = each["interval"]
        people.add_row(
            each["respondent"],
            truly.kind,
            str(each["answers"]),
            f"{each['accuracy']:.3f}",
            f"{low:.3f} - {high:.3f}",
            f"{truly.skill:.3f}",
        )
    console.print(people)

    states = [state for state in ledger.STATES if getattr(row, state) or state in {"accepted", "graded", "lost"}]
    console.print("ledger    " + ", ".join(f"{state} {getattr(row, state):,}" for state in states))
    console.print(f"speed     {outcome.answers_per_second:,.0f} answers/s from the first POST to the last grade")
