"""`touchstone grade`: grade a file of answers, offline."""

import csv
from array import array
from dataclasses import dataclass
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from cli.answer_files import AnswerFileError, read_answers, read_truth
from cli.errors import CliError

if TYPE_CHECKING:
    from torch import Tensor

    from consensus.answers import Answers
    from consensus.fit import Fit
    from consensus.form import Form
    from consensus.model import Model
    from consensus.scores import Scores


@dataclass(frozen=True, slots=True)
class _Crowd:
    """Answers and the keys behind their codes, in the order of the keys' bytes."""

    answers: "Answers"
    challenges: list[str]
    respondents: list[str]
    classes: list[str]


def grade(
    file: Annotated[Path, typer.Argument(help="Answers: CSV or NDJSON, gzipped or not.")],
    truth: Annotated[Path | None, typer.Option(help="Right answers to score against.")] = None,
    model: Annotated[str, typer.Option(help="Consensus model.")] = "touchstone",
    options_differ: Annotated[
        bool, typer.Option("--options-differ", help="The same option means something else in every challenge.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Write the verdicts to this CSV file.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write a page with plots to this HTML file.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on the last line.")] = False,
) -> None:
    """Grade a file of answers without any server.

    Exact copies of an answer count once. Challenges of the truth file that nobody answered are ignored.
    """
    from consensus import registry  # torch takes seconds to load: no other command should wait for it
    from consensus.errors import ConsensusError
    from consensus.form import Form, form_for

    for path in (out, report):
        _check_folder(path)
    try:
        chosen = registry.get(model)
        crowd = _read(file)
        right = None if truth is None else _read_truth(truth, set(crowd.challenges))
        form = Form.COIN if options_differ else form_for(crowd.answers.K)
        fit = chosen.fit(crowd.answers, form=form)
    except ConsensusError as error:
        raise CliError(str(error)) from None
    known = None if right is None else _codes(crowd, right)
    scores = None if known is None else _score(crowd, fit, known)
    if out is not None:
        _write(out, crowd, fit)
    if report is not None:
        _report(report, str(Path(*file.parts[-2:])), crowd, chosen, form, fit, known, scores)
    if json:
        typer.echo(dumps(_summary(crowd, fit, scores)))
    else:
        _print(crowd, fit, scores)


def _read(path: Path) -> _Crowd:
    import torch

    from consensus.answers import Answers

    item, annotator, label = _Codes(), _Codes(), _Codes()
    for row in read_answers(path):
        if row.answer is None:
            continue
        item.add(row.challenge)
        annotator.add(row.respondent)
        label.add(row.answer)
    if not item.codes:
        raise AnswerFileError(path, "holds no answers")
    (challenges, i), (respondents, j), (classes, k) = item.canonical(), annotator.canonical(), label.canonical()
    I, J, K = len(challenges), len(respondents), len(classes)  # noqa: E741, N806 - the papers' symbols
    answer = torch.unique((i * J + j) * K + k)
    answers = Answers(answer // (J * K), answer // K % J, answer % K, I, J, K)
    return _Crowd(answers, challenges, respondents, classes)


class _Codes:
    """Numbers for keys, in the order in which they are first seen."""

    def __init__(self) -> None:
        self.codes = array("q")
        self._numbers: dict[str, int] = {}

    def add(self, key: str) -> None:
        self.codes.append(self._numbers.setdefault(key, len(self._numbers)))

    def canonical(self) -> tuple[list[str], "Tensor"]:
        """The keys in the order of their bytes, and the codes that say so."""
        import torch

        keys = sorted(self._numbers, key=str.encode)
        seen = torch.tensor([self._numbers[key] for key in keys])
        return keys, seen.argsort()[torch.frombuffer(self.codes, dtype=torch.int64)]


def _read_truth(path: Path, challenges: set[str]) -> dict[str, str]:
    right: dict[str, str] = {}
    for row in read_truth(path):
        if row.challenge in challenges and right.setdefault(row.challenge, row.answer) != row.answer:
            raise AnswerFileError(path, f"{row.challenge!r} has another answer on a line before", row.line)
    if not right:
        raise AnswerFileError(path, "has the right answer of no challenge that was answered")
    return right


def _codes(crowd: _Crowd, right: dict[str, str]) -> "Tensor":
    """(I,) the code of the right class, -1 where it is unknown; classes that nobody chose come after the others."""
    import torch

    codes = {key: code for code, key in enumerate(crowd.classes)}
    return torch.tensor([codes.setdefault(right[key], len(codes)) if key in right else -1 for key in crowd.challenges])


def _score(crowd: _Crowd, fit: "Fit", truth: "Tensor") -> "Scores":
    """Classes that nobody chose have probability 0."""
    from torch.nn.functional import pad

    from consensus.scores import score

    unseen = max(int(truth.max()) + 1 - len(crowd.classes), 0)
    return score(pad(fit.published, (0, unseen)), truth)


def _check_folder(path: Path | None) -> None:
    """Say before the fit what would else be said after it."""
    if path is not None and not path.parent.is_dir():
        raise CliError(f"{path}: No such file or directory")


def _write(path: Path, crowd: _Crowd, fit: "Fit") -> None:
    verdicts = zip(crowd.challenges, fit.answer.tolist(), fit.confidence.tolist(), fit.published.tolist(), strict=True)
    try:
        with path.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(["challenge", "answer", "confidence", *(f"p:{name}" for name in crowd.classes)])
            writer.writerows(
                [challenge, crowd.classes[answer], confidence, *shares]
                for challenge, answer, confidence, shares in verdicts
            )
    except OSError as error:
        raise CliError(f"{path}: {error.strerror}") from None


def _report(
    path: Path,
    source: str,
    crowd: _Crowd,
    model: "Model",
    form: "Form",
    fit: "Fit",
    truth: "Tensor | None",
    scores: "Scores | None",
) -> None:
    from cli.report.page import write
    from cli.report.study import Study

    keys = crowd.challenges, crowd.respondents, crowd.classes
    write(path, Study(source, crowd.answers, *keys, model, form, fit, truth, scores))


def _summary(crowd: _Crowd, fit: "Fit", scores: "Scores | None") -> dict[str, object]:
    return {
        "accuracy": scores and scores.accuracy,
        "log_loss": scores and scores.log_loss,
        "brier": scores and scores.brier,
        "ece": scores and scores.ece,
        "challenges": crowd.answers.I,
        "answers": crowd.answers.N,
        "model": fit.model,
        "shape": fit.shape,
        "reason": fit.reason,
    }


def _print(crowd: _Crowd, fit: "Fit", scores: "Scores | None") -> None:
    table = Table("", "value", show_header=False, box=None)
    for name, number in (
        ("challenges", crowd.answers.I),
        ("respondents", crowd.answers.J),
        ("classes", crowd.answers.K),
        ("answers", crowd.answers.N),
    ):
        table.add_row(name, f"{number:,}")
    table.add_row("model", fit.model)
    for name, text in (("shape", fit.shape), ("reason", fit.reason)):
        if text:
            table.add_row(name, text)
    table.add_row("mean confidence", f"{float(fit.confidence.mean()):.4f}")
    if scores is not None:
        table.add_row("with truth", f"{scores.items:,}")
        table.add_row("accuracy", f"{scores.accuracy:.4f}")
        table.add_row("log loss", f"{scores.log_loss:.4f}")
        table.add_row("Brier score", f"{scores.brier:.4f}")
        table.add_row("calibration error", f"{scores.ece:.4f}")
    Console().print(table)
