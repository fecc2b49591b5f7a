"""Adding to statistics that others add to as well."""

import numpy as np
import pytest
import torch
from sqlalchemy import Connection, Engine

from db import identities, projects
from db.errors import NotFoundError
from tests.integration.workers.crowd import make_project
from workers import scheme, standing
from workers.runtime import Runtime
from workers.standing import Move, Standing

WIDTH = 9


def add(connection: Connection, project: int, runtime: Runtime, known: Standing, counts: float) -> torch.Tensor:
    plan = scheme.make(projects.grading(connection, project), runtime.device)
    J = len(known.ids)
    table, ones = torch.full((J, WIDTH), counts, dtype=torch.float64), np.ones(J, dtype=np.int64)
    move = Move(table, table / 2, ones, ones, ones > 1)
    return standing.add(connection, plan, known, move, runtime.device).veiled.clamped


def read(connection: Connection, project: int, runtime: Runtime, ids: list[int]) -> Standing:
    plan = scheme.make(projects.grading(connection, project), runtime.device)
    return standing.read(connection, plan, np.array(ids, dtype=np.int64), runtime.device)


def test_what_others_have_added_since_the_reading_is_kept(engine: Engine, runtime: Runtime) -> None:
    project = make_project(engine)
    with engine.begin() as connection:
        mine, shared = sorted(identities.respondents(connection, project, ["mine", "shared"]).values())
    with engine.begin() as connection:
        known = read(connection, project, runtime, [mine, shared])
        with engine.begin() as other:
            add(other, project, runtime, read(other, project, runtime, [shared]), 1.0)
        after = add(connection, project, runtime, known, 2.0)
    with engine.begin() as connection:
        stored = read(connection, project, runtime, [mine, shared])
    assert stored.veiled.clamped[:, 0].tolist() == after[:, 0].tolist() == [2.0, 3.0]
    assert stored.veiled.open[:, 0].tolist() == [1.0, 1.5]
    assert stored.answers.tolist() == [1, 2]


def test_respondents_who_do_not_exist(engine: Engine, runtime: Runtime) -> None:
    project = make_project(engine)
    with engine.begin() as connection:
        ids = sorted(identities.respondents(connection, project, ["here", "gone"]).values())
        known = read(connection, project, runtime, ids)
        connection.exec_driver_sql(f"DELETE FROM respondent_statistics WHERE respondent_id = {ids[0]}")
        with pytest.raises(NotFoundError, match="1 of 2 respondents"):
            add(connection, project, runtime, known, 1.0)
