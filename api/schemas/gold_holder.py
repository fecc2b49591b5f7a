"""Holders of gold's answers on the wire; only keys with the scope `gold` see them."""

from pydantic import BaseModel, Field


class GoldHolder(BaseModel):
    """A respondent who seems to know gold's answers from elsewhere."""

    respondent: str
    odds: float = Field(description="Odds that they do, by how much better they are on gold than elsewhere.")
