"""`touchstone submit`: send a file of answers to a project."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cli.accuracy import Accuracy, accuracy
from cli.answer_files import read_truth
from cli.client import PATIENCE, Client, connect, project_path
from cli.delivery import BadAnswer, BadAnswersError, Delivery, counts, first_rejection, settled
from cli.gold_file import load_gold
from cli.listing import cell, show_fields
from cli.submission import Submission
from config.settings import load

_MOST_NAMED = 50


def submit(
    file: Annotated[Path, typer.Argument(help="Answers: CSV or NDJSON, gzipped or not.")],
    project: Annotated[str, typer.Option(help="Name of the project.")],
    batch_size: Annotated[int, typer.Option(min=1, max=10_000, help="Answers in one batch.")] = 100,
    concurrency: Annotated[int, typer.Option(min=1, max=64, help="Requests at a time.")] = 4,
    lane: Annotated[Literal["bulk", "live"], typer.Option(help="Lane that grades it.")] = "bulk",
    truth: Annotated[Path | None, typer.Option(help="Right answers to score the verdicts against; waits.")] = None,
    gold: Annotated[
        Path | None, typer.Option(help="Right answers that are to be gold, loaded first; the key needs that scope.")
    ] = None,
    partial: Annotated[
        bool, typer.Option("--partial", help="Store the good answers of batches with bad ones.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until every batch is graded.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on the last line.")] = False,
) -> None:
    """Send a file of answers. After Ctrl-C, the same command again goes on: nothing is stored twice.

    Exits with 1 when it waited and not every answer was graded, superseded or rejected.
    """
    right = None if truth is None else {row.challenge: row.answer for row in read_truth(truth)}
    score: Accuracy | None = None
    try:
        with connect(load(), patience=PATIENCE) as client, _progress() as progress:
            submission = _survey(file, project, batch_size, progress)
            loaded = None if gold is None else load_gold(client, project, gold)
            sent = _send(Delivery(client, submission, lane, partial), concurrency, progress)
            states = _wait(client, project, sent, concurrency, progress) if wait or truth else None
            if states is not None and states["rejected"] > sent.rejected:
                late = states["rejected"] - sent.rejected
                reason = cell(first_rejection(client, project, sent.batches))
                typer.echo(f"{late:,} answers were rejected when they came to be graded; the first: {reason}", err=True)
            if right is not None:
                typer.echo(
                    "the accuracy is of the verdicts as they stand; `touchstone refit` makes them final", err=True
                )
                score = accuracy(client.lines(project_path(project, "verdicts")), right)
    except KeyboardInterrupt:
        typer.echo("interrupted: the same command goes on from here", err=True)
        raise
    summary = _summary(submission, sent, states, score)
    if loaded is not None:
        summary["gold"] = sum(loaded.values())
    shown = summary if json else {name: value for name, value in summary.items() if value is not None}
    show_fields(shown, json=json)
    if states is not None and states["graded"] + states["superseded"] + states["rejected"] < submission.answers:
        raise typer.Exit(1)


def _survey(file: Path, project: str, size: int, progress: Progress) -> Submission:
    task = progress.add_task("reading", total=None)
    submission = Submission.survey(file, project, size)
    progress.remove_task(task)
    return submission


@dataclass(slots=True)
class _Sent:
    """What the API took: batches by id, and how many answers it refused, in these and in batches without a good one."""

    batches: list[str] = field(default_factory=list)
    rejected: int = 0
    unstored: int = 0


def _send(delivery: Delivery, concurrency: int, progress: Progress) -> _Sent:
    sent, left = _Sent(), _MOST_NAMED
    task = progress.add_task("answers sent", total=delivery.submission.answers)
    try:
        for receipt in delivery.send(concurrency):
            left -= _name(delivery.submission.path, receipt.bad, left)
            sent.rejected += receipt.rejected
            if receipt.id is None:
                sent.unstored += receipt.answers
            else:
                sent.batches.append(receipt.id)
            progress.advance(task, receipt.answers)
    except BadAnswersError as error:
        _name(delivery.submission.path, error.answers, left)
        raise
    return sent


def _name(path: Path, bad: Sequence[BadAnswer], most: int) -> int:
    """Say which answers are bad, `most` of them at most; returns how many there are."""
    for answer in bad[: max(0, most)]:
        typer.echo(f"{path}, line {answer.line}: {cell(answer.problem)}", err=True)
    if 0 <= most < len(bad):
        typer.echo("more are not named here", err=True)
    return len(bad)


def _wait(client: Client, project: str, sent: _Sent, concurrency: int, progress: Progress) -> Counter[str]:
    task = progress.add_task("batches graded", total=len(sent.batches))
    for _ in settled(client, project, sent.batches, concurrency):
        progress.advance(task)
    states = counts(client, project, sent.batches, concurrency)
    states["rejected"] += sent.unstored
    return states


def _summary(
    submission: Submission, sent: _Sent, states: Counter[str] | None, score: Accuracy | None
) -> dict[str, object]:
    """The totals; None is what is known only after waiting, or with the truth."""
    known: Mapping[str, int] = {} if states is None else states
    return {
        "project": submission.project,
        "answers": submission.answers,
        "batches": len(sent.batches),
        "graded": known.get("graded"),
        "superseded": known.get("superseded"),
        "rejected": known.get("rejected", sent.rejected),
        "dead": known.get("dead"),
        "cancelled": known.get("cancelled"),
        "lost": None if states is None else submission.answers - states.total(),
        "accuracy": score and score.value,
        "scored": score and score.scored,
    }


def _progress() -> Progress:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, disable=not console.is_terminal)
