"""Projects as requests name them: found within the caller's tenant or not at all."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Engine

from api.problems import brief
from api.timed_cache import TimedCache
from db import projects
from db.errors import NotFoundError
from db.keys import Principal
from db.projects import ProjectRow

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Door:
    """What must be known of a project to let answers in."""

    project_id: int
    classes: frozenset[str] | None
    """What an answer may be; None: whatever it is."""
    listed: str
    """The classes for people to read."""


def find_project(connection: Connection, tenant_id: int, name: str) -> ProjectRow:
    """A tenant's project.

    Raises:
        NotFoundError: this tenant has none of that name.
    """
    if not NAME.fullmatch(name):
        raise NotFoundError(f"no project is named {name!r}")
    return projects.get(connection, tenant_id, name)


def scores_told_from(caller: Principal, project: ProjectRow) -> int:
    """The number of counted answers from which the caller is told a respondent's score."""
    return 0 if "gold" in caller.scopes else project.rules.score_answers


def listed(classes: Sequence[str]) -> str:
    """Classes for people to read, as far as there is room in a fault."""
    return brief(", ".join(classes))


def no_class(answer: str, listed: str) -> str:
    """What is wrong with an answer that is none of the listed classes."""
    return f"{json.dumps(brief(answer), ensure_ascii=False)} is not one of {listed}"


def door_cache(engine: Engine, *, patience: float) -> TimedCache[tuple[int, str], Door]:
    """Doors by tenant and project name. What a door keeps never changes, so a second is merely how long it is kept."""

    def load(key: tuple[int, str]) -> Door:
        with engine.begin() as connection:
            project = find_project(connection, *key)
        return _door(project)

    return TimedCache(load, seconds=1.0, size=1000, patience=patience)


def _door(project: ProjectRow) -> Door:
    if project.classes_open:
        return Door(project.id, None, "")
    return Door(project.id, frozenset(project.classes), listed(project.classes))
