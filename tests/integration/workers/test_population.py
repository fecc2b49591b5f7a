"""What the idle learn of a crowd between refits."""

import random
from typing import Any

import pytest
from sqlalchemy import Engine, text

from consensus import population as lessons
from db import projects, transactions
from tests.integration.workers.crowd import (
    Answer,
    Verdict,
    accept,
    answer,
    books,
    crowd,
    drain,
    execute,
    make_project,
    scalar,
    split,
    verdicts,
)
from workers import allowance, population, refit, revisit
from workers.runtime import Runtime


def hesitant(seed: int) -> list[Answer]:
    """A class that most of the crowd fail to name: what to make of that only the whole crowd tells."""
    rng = random.Random(seed)
    answers = []
    for challenge in range(400):
        names = 0.45 if rng.random() < 0.3 else 0.02
        for respondent in rng.sample(range(40), 3):
            choice = "rare" if rng.random() < names else "usual"
            answers.append(answer(f"c{challenge:03}", f"r{respondent:02}", choice))
    return answers


def different(some: dict[str, Verdict], others: dict[str, Verdict]) -> float:
    """The share of challenges with another answer."""
    return sum(some[key].answer != others[key].answer for key in some) / len(some)


def prior(engine: Engine, project: int) -> Any:
    with engine.connect() as connection:
        return projects.grading(connection, project).prior


def learned(engine: Engine) -> list[tuple[int, int]]:
    """Answers that the project had, and answers of the sample, of every lesson."""
    with engine.connect() as connection:
        return [(r.answers, r.sample) for r in connection.execute(text("SELECT * FROM populations ORDER BY id"))]


def idle(runtime: Runtime, project: int) -> None:
    """A lesson and all rounds of revisits."""
    population.learn(runtime, project)
    place: revisit.Round | None = revisit.Round()
    while place is not None:
        place = revisit.run(runtime, project, place)


def test_no_snapshot_is_held_while_a_population_is_learned(
    engine: Engine, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else no version of a row that grading updates meanwhile could be cleared away."""
    project = make_project(engine)
    accept(engine, project, crowd(1, challenges=60))
    drain(runtime, project)
    learn, held = lessons.learn, []

    def watched(*arguments: Any, **options: Any) -> Any:
        with engine.connect() as connection:
            held.append(scalar(connection, "SELECT count(backend_xmin) FROM pg_stat_activity WHERE state ~ '^idle in'"))
        return learn(*arguments, **options)

    monkeypatch.setattr(lessons, "learn", watched)
    assert population.learn(runtime, project)
    assert held == [0]


def test_a_population_is_learned_anew_as_answers_grow(engine: Engine, runtime: Runtime) -> None:
    project = make_project(engine)
    answers = crowd(1, challenges=60)
    few, many = answers[: lessons.LEAST - 1], answers[lessons.LEAST - 1 :]
    accept(engine, project, few)
    drain(runtime, project)
    assert not population.learn(runtime, project)
    assert prior(engine, project) is None

    accept(engine, project, many)
    drain(runtime, project)
    assert population.learn(runtime, project)
    assert not population.learn(runtime, project)
    assert prior(engine, project)["classes"] == 3
    assert learned(engine) == [(len(answers), len(answers))]
    books(engine, project)


def test_a_refit_takes_the_place_of_what_was_learned(engine: Engine, runtime: Runtime) -> None:
    project = make_project(engine)
    accept(engine, project, crowd(2))
    drain(runtime, project)
    assert population.learn(runtime, project)
    execute(engine, "INSERT INTO model_runs (project_id, cause) VALUES (:id, 'requested')", id=project)
    refit.run(runtime, project)
    final = prior(engine, project)
    assert not population.learn(runtime, project)
    with engine.connect() as connection:
        assert final == connection.execute(text("SELECT prior FROM model_runs")).scalar_one()


def test_one_lesson_of_a_project_at_a_time(engine: Engine, runtime: Runtime) -> None:
    project, other = make_project(engine, name="one"), make_project(engine, name="two")
    for each in (project, other):
        accept(engine, each, crowd(6))
        drain(runtime, each)
    with engine.begin() as somebody:
        assert transactions.alone(somebody, population.ADVISORY_LOCK + project)
        assert population.wait(runtime, project) == 0
        assert not population.learn(runtime, project)
        assert population.learn(runtime, other)
    assert population.learn(runtime, project)
    assert population.wait(runtime, project) is None


def test_while_another_project_waits_only_much_growth_makes_a_lesson(engine: Engine, runtime: Runtime) -> None:
    project, other = make_project(engine, name="one"), make_project(engine, name="two")
    answers = crowd(7, challenges=60)
    known = len(answers) * 9 // 10
    accept(engine, project, answers[:known])
    drain(runtime, project)
    assert population.learn(runtime, project)
    execute(engine, "UPDATE populations SET made_at = now() - interval '1 hour'")
    execute(engine, "UPDATE batches SET finished_at = now() - interval '2 hours'")
    accept(engine, project, answers[known:])
    drain(runtime, project)
    quiet = "UPDATE batches SET finished_at = now() - interval '1 minute' WHERE finished_at > now() - interval '1 hour'"
    execute(engine, quiet)
    assert population.wait(runtime, project) == 0

    accept(engine, other, crowd(8))
    assert population.wait(runtime, project) == allowance.QUIET
    drain(runtime, other)
    assert population.wait(runtime, project) == 0


def test_another_model_learns_for_itself(engine: Engine, runtime: Runtime) -> None:
    project = make_project(engine)
    accept(engine, project, crowd(3))
    drain(runtime, project)
    assert population.learn(runtime, project)
    execute(engine, "UPDATE projects SET model = 'one-coin' WHERE id = :id", id=project)
    assert prior(engine, project) is None
    assert population.learn(runtime, project)


def test_a_new_class_asks_for_a_new_lesson(engine: Engine, runtime: Runtime) -> None:
    project = make_project(engine, "ab", classes_open=True)
    accept(engine, project, crowd(4, classes="ab"))
    drain(runtime, project)
    assert population.learn(runtime, project)
    accept(engine, project, [answer("new", "r1", "c")])
    drain(runtime, project)
    assert population.learn(runtime, project)
    assert prior(engine, project)["classes"] == 3


def test_revisits_find_the_verdicts_of_a_refit(engine: Engine, runtime: Runtime) -> None:
    project = make_project(engine, ["rare", "usual"], model="touchstone")
    for batch in split(hesitant(5), 100):
        accept(engine, project, batch)
        drain(runtime, project)
    before = verdicts(engine, project)
    idle(runtime, project)
    live = verdicts(engine, project)
    books(engine, project)

    execute(engine, "INSERT INTO model_runs (project_id, cause) VALUES (:id, 'requested')", id=project)
    refit.run(runtime, project)
    final = verdicts(engine, project)
    assert different(before, final) > 0.03
    assert different(live, final) <= 0.015
