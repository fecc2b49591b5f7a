"""A page of a list."""

from typing import Generic, TypeVar

from pydantic import BaseModel, Field

Item = TypeVar("Item")


class Page(BaseModel, Generic[Item]):
    """Items in their order, and where the next page starts."""

    items: list[Item]
    next: str | None = Field(description="Give it as `after` for the next page; null on the last.")
