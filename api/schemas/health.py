"""Readiness on the wire."""

from pydantic import BaseModel


class Readiness(BaseModel):
    """What this process needs, and whether it is there."""

    postgres: bool
    redis: bool
    migrations: bool
