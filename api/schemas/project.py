"""Projects on the wire."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from api.doors import NAME
from db.bodies import MAX_KEY
from db.projects import RULES, NewProject, ProjectRow, Rules

Model = Literal[
    "majority",
    "one-coin",
    "dawid-skene",
    "wawa",
    "zero-based-skill",
    "glad",
    "mace",
    "kos",
    "ibcc",
    "cbcc",
    "ebcc",
    "touchstone",
]
Repeats = Literal["first", "last", "all"]
Threshold = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Cost = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Odds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Costs = dict[str, dict[str, Cost]]

MAX_CLASSES = 1000
FULL_FORM = 16
"""Classes up to which a respondent's whole confusion is kept."""


def _storable(key: str) -> str:
    if "\0" in key:
        raise ValueError("contains the character NUL")
    return key


def _distinct(keys: list[str]) -> list[str]:
    if len(set(keys)) < len(keys):
        raise ValueError("each class may be named once")
    return keys


def _declared_or_open(value: Any, declared: ValidatorFunctionWrapHandler) -> list[str]:
    """`open` is no classes yet."""
    keys: list[str] = [] if value == "open" else declared(value)
    return keys


ClassKey = Annotated[str, Field(min_length=1, max_length=MAX_KEY), AfterValidator(_storable)]
Classes = Annotated[
    list[ClassKey],
    Field(min_length=2, max_length=MAX_CLASSES),
    AfterValidator(_distinct),
    WrapValidator(_declared_or_open, json_schema_input_type=list[ClassKey] | Literal["open"]),
]


class Project(BaseModel):
    """A set of challenges of one kind graded under one configuration."""

    name: str
    kind: str
    classes: list[str]
    classes_open: bool
    max_classes: int
    options_shared: bool
    model: str
    repeats: str
    pass_threshold: float
    fail_threshold: float
    target_error: float = Field(description="A verdict is settled once its expected cost is below this.")
    min_answers: int = Field(description="Answers below which no verdict is settled.")
    max_answers: int = Field(description="Answers at which an open verdict becomes ambiguous.")
    cost_matrix: Costs | None = Field(description="Cost by true class and verdict; null: 1 for every wrong verdict.")
    answer_cost: float = Field(description="Cost of one more answer, in the same unit.")
    report_step: float = Field(description="How far a confidence moves before it makes a version of its own.")
    score_answers: int = Field(
        description="Answers below which a respondent's score is told to holders of `gold` only."
    )
    bad_gold_odds: float = Field(description="Odds against its answer from which gold is flagged as bad.")
    leaked_gold_odds: float = Field(description="Odds from which gold is flagged as leaked.")
    model_run: str | None = Field(description="The current model run.")
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, row: ProjectRow) -> Self:
        return cls(
            name=row.name,
            kind=row.kind,
            classes=list(row.classes),
            classes_open=row.classes_open,
            max_classes=row.max_classes,
            options_shared=row.options_shared,
            model=row.model,
            repeats=row.repeats,
            pass_threshold=row.pass_threshold,
            fail_threshold=row.fail_threshold,
            **{name: getattr(row.rules, name) for name in RULES},
            model_run=row.model_run,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )


class ProjectCreation(BaseModel):
    """What a project is made of."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(pattern=f"^{NAME.pattern}$")]
    classes: Classes = Field(
        description="What an answer may be; open: classes are added as they are met, up to `max_classes`."
    )
    max_classes: int = Field(16, ge=2, le=MAX_CLASSES, description="Of an open project.")
    options_shared: bool = Field(True, description="Whether an option means the same in every challenge.")
    model: Model = "touchstone"
    repeats: Repeats = Field("first", description="Which of a respondent's answers to one challenge count.")
    pass_threshold: Threshold = 0.7
    fail_threshold: Threshold = 0.3
    target_error: Annotated[float, Field(gt=0, lt=1)] = 0.05
    min_answers: Count = 2
    max_answers: Count = 20
    cost_matrix: Costs | None = None
    answer_cost: Cost = 0.0
    report_step: Annotated[float, Field(gt=0, le=1)] = 0.05
    score_answers: Count = 20
    bad_gold_odds: Odds = 1.0
    leaked_gold_odds: Odds = 1.0

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        check_model(self.model, len(self.classes) or self.max_classes)
        check_thresholds(self.fail_threshold, self.pass_threshold)
        check_bounds(self.min_answers, self.max_answers)
        check_costs(self.cost_matrix, self.classes)
        return self

    def new(self) -> NewProject:
        """The project to make."""
        max_classes = len(self.classes) or self.max_classes
        return NewProject(
            name=self.name,
            classes=tuple(self.classes),
            classes_open=not self.classes,
            max_classes=max_classes,
            options_shared=self.options_shared,
            form="full" if self.options_shared and max_classes <= FULL_FORM else "coin",
            model=self.model,
            repeats=self.repeats,
            pass_threshold=self.pass_threshold,
            fail_threshold=self.fail_threshold,
            rules=Rules(**{name: getattr(self, name) for name in RULES}),
        )


class ProjectChange(BaseModel):
    """What of a project may change. What is left out, or null, stays as it is."""

    model_config = ConfigDict(extra="forbid")

    pass_threshold: Threshold | None = None
    fail_threshold: Threshold | None = None
    model: Model | None = None
    repeats: Repeats | None = Field(None, description="Only before the first batch.")
    target_error: Annotated[float, Field(gt=0, lt=1)] | None = None
    min_answers: Count | None = None
    max_answers: Count | None = None
    cost_matrix: Costs | None = Field(None, description="An empty object: back to 1 for every wrong verdict.")
    answer_cost: Cost | None = None
    report_step: Annotated[float, Field(gt=0, le=1)] | None = None
    score_answers: Count | None = None
    bad_gold_odds: Odds | None = None
    leaked_gold_odds: Odds | None = None


def check_thresholds(fail: float, passing: float) -> None:
    """Raise ValueError unless the thresholds are in order."""
    if fail > passing:
        raise ValueError("fail_threshold: must not be above pass_threshold")


def check_bounds(least: int, most: int) -> None:
    """Raise ValueError unless the bounds of the number of answers are in order."""
    if least > most:
        raise ValueError("min_answers: must not be above max_answers")


def check_costs(costs: Costs | None, classes: list[str]) -> None:
    """Raise ValueError unless every verdict on every declared class has a cost, and a right one the lowest."""
    if not costs:
        return
    for true_class in classes:
        row = costs.get(true_class, {})
        missing = [verdict for verdict in classes if verdict not in row]
        if missing:
            raise ValueError(f"cost_matrix: {true_class}: no cost of the verdict {missing[0]!r}")
        if row[true_class] > min(row.values()):
            raise ValueError(f"cost_matrix: {true_class}: a wrong verdict costs less than the right one")


def check_model(model: str, classes: int) -> None:
    """Raise ValueError unless the model can tell so many classes apart."""
    if model == "kos" and classes > 2:
        raise ValueError("model: kos is for two classes")
