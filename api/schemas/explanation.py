"""Explanations on the wire, as workers write them."""

from typing import Literal

from pydantic import BaseModel, Field


class Given(BaseModel):
    """One respondent's answer."""

    respondent: str
    answer: str | None = Field(description='Null for "cannot tell".')


class Belief(BaseModel):
    """A respondent's reliability as it counted."""

    accuracy: float
    interval: tuple[float, float] = Field(description="95 % credible interval.")


class Contribution(Given):
    """What an answer says."""

    contribution: float = Field(description="For the winner where positive, for the runner-up where negative.")
    reliability: Belief | None = Field(
        description="Null of a respondent with fewer than `score_answers` answers, unless the key has the scope `gold`."
    )


class Others(BaseModel):
    """What all answers that are not named say together."""

    answers: int
    contribution: float


class Step(BaseModel):
    """What is done to the sum of all answers."""

    name: str = Field(
        description="`rounding` is that of published probabilities; `since` is by how much the verdict, as it is"
        " published, differs from what the same answers would give now. All others are the model's."
    )
    value: float


class Explanation(BaseModel):
    """A verdict's winning class against its runner-up: `prior`, contributions and steps add up to `total`.

    Of very many answers, respondents or members of a set, 1,000 are named.
    """

    challenge: str
    answer: str | None = Field(description="The verdict's; under a cost matrix it may be another than the winner.")
    version: int = Field(description="The version of the verdict.")
    final: bool
    model: str
    model_run: str | None = Field(description="The model run whose fit or prior made the verdict.")
    winner: str = Field(description="The most probable class.")
    runner_up: str | None = Field(
        default=None, description="The next one; null where there is one class, and then nothing is explained."
    )
    scale: Literal["log", "share"] | None = Field(default=None, description="Terms are log-odds, or shares of votes.")
    total: float | None = Field(
        default=None, description="log p(winner) / p(runner-up) as published, or the difference of their shares."
    )
    prior: float | None = None
    answers: list[Contribution] = Field(description="Those that say most of all that count, by respondent.")
    others: Others | None = Field(default=None, description="All others; null where there are none.")
    steps: list[Step] = []
    fewest_answers: list[Given] | None = Field(
        default=None,
        description="The fewest answers without which another class wins, all reliabilities as they are; null where"
        " the winner stands without any.",
    )
    fewest_answers_count: int | None = Field(default=None, description="How many these are, named or not.")
    fewest_respondents: list[str] | None = Field(default=None, description="The fewest respondents, likewise.")
    fewest_respondents_count: int | None = None
    exact: bool | None = Field(default=None, description="No smaller set would do; else a smaller one may exist.")
