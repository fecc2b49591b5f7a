"""Model runs on the wire."""

import uuid
from datetime import datetime
from typing import Any, Literal, Self

from pydantic import BaseModel, Field

from db.runs import RunRow


class ModelRun(BaseModel):
    """One refit of a project."""

    id: uuid.UUID
    project: str
    state: Literal["waiting", "running", "done", "failed"]
    cause: Literal["requested", "growth", "age", "gold"]
    model: str | None
    model_version: str | None
    answers: int | None
    challenges: int | None
    respondents: int | None
    iterations: int | None
    converged: bool | None
    input_digest: str | None = Field(description="SHA-256 of everything the run depended on.")
    build: str | None = Field(description="Within one build, the same input gives the same verdicts bit for bit.")
    metrics: dict[str, Any] | None
    error: str | None
    requested_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def of(cls, row: RunRow, project: str) -> Self:
        fields = {name: getattr(row, name) for name in cls.model_fields if name not in {"id", "project"}}
        return cls.model_validate({"id": row.uid, "project": project, **fields})
