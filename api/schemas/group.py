"""Groups of respondents on the wire; only keys with the scope `gold` see them."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from api.schemas.project import ClassKey

MOST = 10_000
"""Respondents of a group."""


class GroupMembers(BaseModel):
    """Who is in a group."""

    model_config = ConfigDict(extra="forbid")

    respondents: Annotated[list[ClassKey], Field(min_length=1, max_length=MOST, description="Keys of respondents.")]


class Group(BaseModel):
    """Respondents who may share what they know."""

    group: str
    respondents: int = Field(description="How many are in it.")
    odds: float | None = Field(
        description="Odds that they know gold's answers from elsewhere; null until a refit has looked at them."
    )
