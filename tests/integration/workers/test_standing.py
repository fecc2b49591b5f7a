"""Adding to statistics that others add to as well."""

import numpy as np
import pytest
import torch
from sqlalchemy import Engine

from config.settings import Settings
from db import identities, projects
from db.errors import NotFoundError
from tests.integration.workers.crowd import execute, make_project
from workers import scheme, standing, turns
from workers.runtime import Runtime
from workers.scheme import Scheme
from workers.standing import Move
from workers.turns import Taken

WIDTH = 9


def plan_of(turn: Taken, runtime: Runtime) -> Scheme:
    plan = scheme.make(projects.grading(turn.connection, turn.project_id), runtime.device)
    turn.recall.suit(plan)
    return plan


def add(turn: Taken, runtime: Runtime, ids: list[int], counts: float) -> None:
    plan, J = plan_of(turn, runtime), len(ids)
    known = standing.read(turn, plan, np.array(ids, dtype=np.int64), runtime.device)
    table, ones = torch.full((J, WIDTH), counts, dtype=torch.float64), np.ones(J, dtype=np.int64)
    standing.add(turn, plan, known, Move(table, table / 2, ones, ones, ones > 1), runtime.device)


def test_what_others_have_added_meanwhile_is_seen(engine: Engine, runtime: Runtime, settings: Settings) -> None:
    project = make_project(engine)
    with engine.begin() as connection:
        mine, shared = sorted(identities.respondents(connection, project, ["mine", "shared"]).values())
    with turns.taken(runtime, project) as turn:
        add(turn, runtime, [mine, shared], 2.0)
    other = Runtime.open(settings)
    with turns.taken(other, project) as turn:
        add(turn, other, [shared], 1.0)
    other.close()
    with turns.taken(runtime, project) as turn:
        assert turn.recall.respondents.find(np.array([mine, shared])).tolist() == [0, -1]
        add(turn, runtime, [mine, shared], 4.0)
    runtime.memory.of(project).forget()
    with turns.taken(runtime, project) as turn:
        stored = standing.read(turn, plan_of(turn, runtime), np.array([mine, shared]), runtime.device)
    assert stored.veiled.clamped[:, 0].tolist() == [6.0, 7.0]
    assert stored.veiled.open[:, 0].tolist() == [3.0, 3.5]
    assert stored.answers.tolist() == [2, 3]


def test_what_was_undone_is_not_remembered(engine: Engine, runtime: Runtime) -> None:
    project = make_project(engine)
    with engine.begin() as connection:
        ids = sorted(identities.respondents(connection, project, ["one"]).values())
    with turns.rehearsed(runtime, project) as turn:
        add(turn, runtime, ids, 2.0)
    with turns.taken(runtime, project) as turn:
        stored = standing.read(turn, plan_of(turn, runtime), np.array(ids), runtime.device)
    assert stored.answers.tolist() == [0]


def test_respondents_who_do_not_exist(engine: Engine, runtime: Runtime) -> None:
    project = make_project(engine)
    with engine.begin() as connection:
        ids = sorted(identities.respondents(connection, project, ["here", "gone"]).values())
    with turns.taken(runtime, project) as turn:
        add(turn, runtime, ids, 1.0)
    execute(engine, "DELETE FROM respondent_statistics WHERE respondent_id = :r", r=ids[0])
    with pytest.raises(NotFoundError, match="1 of 2 respondents"), turns.taken(runtime, project) as turn:
        add(turn, runtime, ids, 1.0)
    with pytest.raises(NotFoundError, match="1 of 2 respondents"), turns.taken(runtime, project) as turn:
        add(turn, runtime, ids, 1.0)
