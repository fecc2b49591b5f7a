"""The figures at the top of a report."""

from dataclasses import dataclass

import torch

from cli.report.figure import percent, whole
from cli.report.study import CHUNK, Study
from consensus.scores import Scores


@dataclass(frozen=True, slots=True)
class Headline:
    """Pairs of what is counted or measured and its value; `ground` says what the measures rest on."""

    crowd: list[tuple[str, str]]
    measures: list[tuple[str, str]]
    ground: str
    fit: list[tuple[str, str]]


def headline(study: Study) -> Headline:
    answers = study.answers
    return Headline(
        crowd=[
            ("Challenges", whole(answers.I)),
            ("Respondents", whole(answers.J)),
            ("Answers", whole(answers.N)),
            ("Classes", whole(answers.K)),
        ],
        measures=_measured(study.scores) if study.scores else _expected(study),
        ground=(
            f"Challenges with truth: {study.scores.items:,}. Ties are split."
            if study.scores
            else "Without truth: what the model expects of itself, if its confidences are right."
        ),
        fit=_fit(study),
    )


def _measured(scores: Scores) -> list[tuple[str, str]]:
    return [
        ("Accuracy", percent(scores.accuracy)),
        ("Log loss", f"{abs(scores.log_loss):.4f}"),
        ("Brier score", f"{scores.brier:.4f}"),
        ("Calibration error", f"{scores.ece:.4f}"),
    ]


def _expected(study: Study) -> list[tuple[str, str]]:
    surprise = study.entropy.mean() * torch.tensor(2.0).log()
    squares = sum(float(part.square().sum()) for part in study.fit.published.split(CHUNK))
    return [
        ("Expected accuracy", percent(float(study.confidence.mean()))),
        ("Expected log loss", f"{abs(float(surprise)):.4f}"),
        ("Expected Brier score", f"{abs(1 - squares / study.answers.I):.4f}"),
        ("Tied challenges", whole(int((study.fit.ties > 1).sum()))),
    ]


def _fit(study: Study) -> list[tuple[str, str]]:
    fit = study.fit
    facts = [("Model", f"{fit.model}, version {fit.version}")]
    facts += [(name, text) for name, text in (("Shape", fit.shape), ("Reason", fit.reason)) if text]
    if fit.iterations:
        facts.append(("Iterations", f"{fit.iterations:,}, " + ("converged" if fit.converged else "not converged")))
    if fit.seed is not None:
        facts.append(("Seed", str(fit.seed)))
    agreeing = int((fit.answer[study.answers.item] == study.answers.label).sum())
    return [
        *facts,
        ("Mean confidence", percent(float(study.confidence.mean()))),
        ("Answers that agree with the verdict", percent(agreeing / study.answers.N)),
        ("Answers per challenge", f"{study.answers.N / study.answers.I:.1f}"),
    ]
