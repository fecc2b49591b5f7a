"""Queries on projects and their classes."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from functools import partial
from typing import Any

import psycopg
from sqlalchemy import Connection, Row, text

from db.errors import ConflictError, NotFoundError
from db.questions import Question, ask, rows


@dataclass(frozen=True, slots=True)
class Rules:
    """When a verdict is settled and told, and what gold must stand."""

    target_error: float = 0.05
    min_answers: int = 2
    max_answers: int = 20
    cost_matrix: dict[str, dict[str, float]] | None = None
    """Cost of a verdict, by class key of the truth and of the verdict; None: 1 for a wrong one."""
    answer_cost: float = 0.0
    report_step: float = 0.05
    score_answers: int = 20
    bad_gold_odds: float = 1.0
    leaked_gold_odds: float = 1.0


RULES = tuple(field.name for field in fields(Rules))


@dataclass(frozen=True, slots=True)
class ProjectRow:
    """A project and its classes, by code."""

    id: int
    name: str
    kind: str
    classes_open: bool
    max_classes: int
    options_shared: bool
    form: str
    model: str
    repeats: str
    pass_threshold: float
    fail_threshold: float
    model_run: str | None
    created_at: datetime
    updated_at: datetime
    classes: list[str]
    rules: Rules


@dataclass(frozen=True, slots=True)
class NewProject:
    """What a project is made of. A declared project has all its classes; an open one appends up to `max_classes`."""

    name: str
    classes: tuple[str, ...]
    classes_open: bool
    max_classes: int
    options_shared: bool
    form: str
    model: str
    repeats: str
    pass_threshold: float
    fail_threshold: float
    rules: Rules = Rules()


_RULES = ", ".join(f"p.{name}" for name in RULES)

_SELECT = f"""
SELECT p.id, p.name, p.kind, p.classes_open, p.max_classes, p.options_shared, p.form, p.model, p.repeats,
       p.pass_threshold, p.fail_threshold, r.uid::text AS model_run, p.created_at, p.updated_at,
       ARRAY(SELECT key FROM project_classes WHERE project_id = p.id ORDER BY code) AS classes,
       {_RULES}
FROM projects p LEFT JOIN model_runs r ON r.id = p.current_run_id
"""


def create(connection: Connection, tenant_id: int, new: NewProject) -> None:
    """Make a project.

    Raises:
        ConflictError: the tenant has one of that name.
    """
    project_id = connection.execute(
        text(f"""
            INSERT INTO projects (tenant_id, name, classes_open, max_classes, options_shared, form, model, repeats,
                                  pass_threshold, fail_threshold, {", ".join(RULES)})
            VALUES (:tenant, :name, :classes_open, :max_classes, :options_shared, :form, :model, :repeats,
                    :pass_threshold, :fail_threshold, {", ".join(map(_placeholder, RULES))})
            ON CONFLICT (tenant_id, name) DO NOTHING RETURNING id
        """),
        {
            "tenant": tenant_id,
            "name": new.name,
            "classes_open": new.classes_open,
            "max_classes": new.max_classes,
            "options_shared": new.options_shared,
            "form": new.form,
            "model": new.model,
            "repeats": new.repeats,
            "pass_threshold": new.pass_threshold,
            "fail_threshold": new.fail_threshold,
            **_values({name: getattr(new.rules, name) for name in RULES}),
        },
    ).scalar_one_or_none()
    if project_id is None:
        raise ConflictError(f"a project named {new.name!r} exists")
    _append_classes(connection, project_id, 0, new.classes)
    _configure(connection, project_id)


def get(connection: Connection, tenant_id: int, name: str) -> ProjectRow:
    """A tenant's project by name.

    Raises:
        NotFoundError: this tenant has none of that name.
    """
    query = text(f"{_SELECT} WHERE p.tenant_id = :tenant AND p.name = :name")
    row = connection.execute(query, {"tenant": tenant_id, "name": name}).one_or_none()
    if row is None:
        raise NotFoundError(f"no project is named {name!r}")
    return _project(row)


def page(connection: Connection, tenant_id: int, *, after: str, limit: int) -> list[ProjectRow]:
    """A tenant's projects by name, those after the name `after`."""
    query = text(f"{_SELECT} WHERE p.tenant_id = :tenant AND p.name > :after ORDER BY p.name LIMIT :limit")
    return [_project(row) for row in connection.execute(query, {"tenant": tenant_id, "after": after, "limit": limit})]


CHANGEABLE = ("model", "repeats", "pass_threshold", "fail_threshold", *RULES)


def change(connection: Connection, tenant_id: int, name: str, changes: Mapping[str, Any]) -> None:
    """Change some of :data:`CHANGEABLE`.

    Raises:
        NotFoundError: this tenant has none of that name.
        ConflictError: how repeats count cannot change once there are batches.
    """
    unknown = set(changes) - set(CHANGEABLE)
    if unknown:
        raise ValueError(f"not changeable: {sorted(unknown)}")
    # Batches of a locked project cannot be stored, and others of the same group commit wait with them: so it is only
    # locked against batches where there may be none.
    lock = "UPDATE" if "repeats" in changes else "NO KEY UPDATE"
    project = connection.execute(
        text(f"SELECT id, repeats FROM projects WHERE tenant_id = :tenant AND name = :name FOR {lock}"),
        {"tenant": tenant_id, "name": name},
    ).one_or_none()
    if project is None:
        raise NotFoundError(f"no project is named {name!r}")
    if changes.get("repeats", project.repeats) != project.repeats:
        started = text("SELECT EXISTS (SELECT 1 FROM batches WHERE project_id = :id)")
        if connection.execute(started, {"id": project.id}).scalar_one():
            raise ConflictError("repeats: cannot change once a project has batches")
    assignments = ", ".join(f"{column} = {_placeholder(column)}" for column in changes)
    if assignments:
        statement = text(f"UPDATE projects SET {assignments}, updated_at = now() WHERE id = :id")
        connection.execute(statement, {**_values(changes), "id": project.id})
        _configure(connection, project.id)


def _placeholder(column: str) -> str:
    return f"CAST(:{column} AS jsonb)" if column == "cost_matrix" else f":{column}"


def _values(settings: Mapping[str, Any]) -> dict[str, Any]:
    values = dict(settings)
    if values.get("cost_matrix") is not None:
        values["cost_matrix"] = json.dumps(values["cost_matrix"])
    return values


def _configure(connection: Connection, project_id: int) -> None:
    """Note the project's settings as they stand, for the versions of verdicts that will be made under them."""
    query = text(f"""
        SELECT to_jsonb(t)::text FROM (
            SELECT p.model, p.form, p.repeats, p.pass_threshold, p.fail_threshold, {_RULES} FROM projects p
            WHERE p.id = :id
        ) t
    """)
    content = connection.execute(query, {"id": project_id}).scalar_one()  # jsonb prints its keys in one order
    connection.execute(
        text("""
            WITH added AS (
                INSERT INTO configurations (project_id, hash, content) VALUES (:id, :hash, CAST(:content AS jsonb))
                ON CONFLICT (project_id, hash) DO UPDATE SET hash = excluded.hash RETURNING id
            )
            UPDATE projects SET configuration_id = added.id FROM added WHERE projects.id = :id
        """),
        {"id": project_id, "hash": hashlib.sha256(content.encode()).hexdigest(), "content": content},
    )


@dataclass(frozen=True, slots=True)
class Grading:
    """What grading needs to know of a project."""

    project_id: int
    classes: tuple[str, ...]
    classes_open: bool
    max_classes: int
    form: str
    model: str
    repeats: str
    run_id: int | None
    prior: Any | None
    """As the project's model wrote it: learned since the current run, or else that run's."""
    configuration_id: int | None = None
    has_gold: bool = False
    """Whether the project has, or had, gold."""
    rules: Rules = Rules()


_GRADING = text(f"""
SELECT p.id AS project_id,
       ARRAY(SELECT key FROM project_classes WHERE project_id = p.id ORDER BY code) AS classes, p.classes_open,
       p.max_classes, p.form, p.model, p.repeats, r.id AS run_id,
       coalesce(l.prior, r.prior) AS prior, p.configuration_id,
       EXISTS (SELECT 1 FROM gold g WHERE g.project_id = p.id) AS has_gold,
       {_RULES}
FROM projects p LEFT JOIN model_runs r ON r.id = p.current_run_id AND r.model = p.model
LEFT JOIN LATERAL (
    SELECT prior FROM populations WHERE project_id = p.id AND model = p.model
    AND model_run_id IS NOT DISTINCT FROM p.current_run_id ORDER BY id DESC LIMIT 1
) l ON true
WHERE p.id = :id
""")


def grading(connection: Connection, project_id: int) -> Grading:
    """How to grade a project now.

    Raises:
        NotFoundError: there is no such project.
    """
    return ask(connection, how_to_grade(project_id))


def how_to_grade(project_id: int) -> Question[Grading]:
    """The same, as a question."""
    return Question(_GRADING, {"id": project_id}, partial(_grading, project_id))


def _grading(project_id: int, cursor: "psycopg.Cursor[Any]") -> Grading:
    found = rows(cursor)
    if not found:
        raise NotFoundError(f"no project has the id {project_id}")
    (columns,) = found
    rules = Rules(**{name: columns.pop(name) for name in RULES})
    return Grading(**columns | {"classes": tuple(columns["classes"])}, rules=rules)


def append_classes(connection: Connection, project_id: int, keys: Sequence[str]) -> tuple[str, ...]:
    """Append classes of an open project under its row lock, as many as it may have; returns all its classes by code."""
    limit = connection.execute(
        text("SELECT max_classes FROM projects WHERE id = :id AND classes_open FOR NO KEY UPDATE"), {"id": project_id}
    ).scalar_one()
    known = grading(connection, project_id).classes
    new = sorted(set(keys) - set(known), key=str.encode)[: limit - len(known)]
    _append_classes(connection, project_id, len(known), new)
    return (*known, *new)


def _append_classes(connection: Connection, project_id: int, first: int, keys: Sequence[str]) -> None:
    if keys:
        connection.execute(
            text(
                "INSERT INTO project_classes (project_id, code, key) SELECT :project, :first + place - 1, key"
                " FROM unnest(CAST(:keys AS text[])) WITH ORDINALITY AS t(key, place)"
            ),
            {"project": project_id, "first": first, "keys": list(keys)},
        )


def _project(row: Row[*tuple[Any, ...]]) -> ProjectRow:
    columns = row._asdict()
    rules = Rules(**{name: columns.pop(name) for name in RULES})
    return ProjectRow(**columns, rules=rules)
