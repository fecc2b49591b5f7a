"""Revisiting what was judged when its respondents were strangers."""

import random

import numpy as np
from sqlalchemy import Engine, text

from db import claims
from tests.integration.workers.crowd import Answer, accept, answer, books, drain, make_project, split
from workers import refit, revisit
from workers.runtime import Runtime


def unlucky() -> list[Answer]:
    """Two bad respondents outvote one good one on the first challenges; only later ones show who is who."""
    rng = random.Random(3)
    opinions = {"x": "wrong", "y": "wrong", "good": "right"}
    early = [answer(f"a{c:02}", who, opinion) for c in range(6) for who, opinion in opinions.items()]
    late = []
    for c in range(60):
        right, wrong = ("right", "wrong") if c % 2 else ("wrong", "right")
        late += [answer(f"b{c:02}", f"r{r}", right) for r in range(5)]
        late += [answer(f"b{c:02}", "good", right)]
        late += [answer(f"b{c:02}", who, rng.choice((right, wrong))) for who in ("x", "y")]
    return early + late


def posteriors(engine: Engine) -> dict[str, list[float]]:
    """Stored posteriors by challenge."""
    query = text("SELECT ch.key, c.posterior FROM consensus c JOIN challenges ch ON ch.id = c.challenge_id")
    with engine.connect() as connection:
        return {row.key: row.posterior for row in connection.execute(query)}


def revisit_all(runtime: Runtime, project: int) -> int:
    """Slices until nothing moves any more."""
    place: revisit.Round | None = revisit.Round()
    slices = 0
    while place is not None:
        place = revisit.run(runtime, project, place)
        slices += 1
    return slices


def test_what_came_early_is_judged_by_what_is_known_now(engine: Engine, runtime: Runtime) -> None:
    project = make_project(engine, ["right", "wrong"])
    for batch in split(unlucky(), 20):
        accept(engine, project, batch)
        drain(runtime, project)
    before = posteriors(engine)
    revisit_all(runtime, project)
    after = posteriors(engine)
    assert before["a00"][0] < 0.5 < after["a00"][0]
    books(engine, project)

    # Nothing moves any more: a further round writes nothing.
    revisit_all(runtime, project)
    assert posteriors(engine) == after


def test_final_verdicts_are_left_alone(engine: Engine, runtime: Runtime) -> None:
    project = make_project(engine, ["right", "wrong"])
    accept(engine, project, unlucky())
    drain(runtime, project)
    with engine.begin() as connection:
        connection.execute(
            text("INSERT INTO model_runs (project_id, cause) VALUES (:id, 'requested')"), {"id": project}
        )
    refit.run(runtime, project)
    final = posteriors(engine)
    accept(engine, project, [answer("b00", "new", "right")])
    drain(runtime, project)
    revisit_all(runtime, project)
    now = posteriors(engine)
    assert {key for key in now if now[key] != final[key]} <= {"b00"}
    books(engine, project)


def test_a_round_goes_on_where_a_slice_has_ended(engine: Engine, runtime: Runtime) -> None:
    """More challenges than one chunk: the place is behind the last challenge looked at."""
    project = make_project(engine, ["right", "wrong"])
    answers = [answer(f"c{c:04}", f"r{r}", "right") for c in range(revisit.CHUNK + 50) for r in range(2)]
    accept(engine, project, answers)
    drain(runtime, project)
    visited, _, last = revisit._visit(runtime, project, 0)
    assert visited == revisit.CHUNK
    assert revisit._visit(runtime, project, last)[0] == 50
    assert np.isclose(sum(posteriors(engine)["c0000"]), 1)


def test_nothing_is_revisited_while_answers_are_graded(engine: Engine, runtime: Runtime) -> None:
    project = make_project(engine, ["right", "wrong"])
    accept(engine, project, unlucky())
    drain(runtime, project)
    before = posteriors(engine)
    accept(engine, project, [answer("a00", "r1", "right")], lane="bulk")
    with engine.begin() as connection:
        claim = claims.claim(connection, project, "bulk", batches=1, answers=1, lease=60)
    assert claim is not None
    here = revisit.Round(after=7, number=2, moved=3)
    assert revisit.run(runtime, project, here) == here
    assert posteriors(engine) == before
    with engine.begin() as connection:
        claims.release(connection, claim.id, claim.batches[0].id, error="", wait=60)
    revisit_all(runtime, project)
    assert posteriors(engine) != before
