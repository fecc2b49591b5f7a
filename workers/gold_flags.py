"""Flagging gold: how likely it is that a label is wrong, or that respondents know it from elsewhere."""

from workers.runtime import Runtime


def flag(runtime: Runtime, project_id: int) -> None:
    """Note the odds of a project's gold."""
