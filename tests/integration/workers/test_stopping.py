"""The stop rule in the fleet: what a refit learns of it, and what verdicts come of that."""

import torch
from sqlalchemy import Engine, text

from consensus.simulation import Kind, simulate
from db import projects, runs
from tests.integration.workers.crowd import Answer, accept, answer, books, drain, make_project
from workers import refit
from workers.runtime import Runtime

CLEAN = {Kind.CARELESS: 0.18, Kind.BIASED: 0.14, Kind.SPAMMER: 0.14}
CHALLENGES = 150


def fit(engine: Engine, runtime: Runtime, project: int) -> None:
    with engine.begin() as connection:
        runs.request(connection, project, "requested")
    refit.run(runtime, project)
    books(engine, project)


def statuses(engine: Engine, project: int) -> dict[str, tuple[str, int | None]]:
    query = text(
        "SELECT ch.key, c.status, c.answer FROM consensus c JOIN challenges ch ON ch.id = c.challenge_id"
        " WHERE c.project_id = :p"
    )
    with engine.connect() as connection:
        return {row.key: (row.status, row.answer) for row in connection.execute(query, {"p": project})}


def test_a_clean_crowd_settles_within_the_target(engine: Engine, runtime: Runtime) -> None:
    """One seeded crowd; over 200 the benchmark of collection says how often."""
    crowd = simulate(11, CHALLENGES, 4, 18 * CHALLENGES, 50, CLEAN)
    a = crowd.answers
    given = [
        answer(f"c{item}", f"r{annotator}", "abcd"[label])
        for item, annotator, label in zip(a.item.tolist(), a.annotator.tolist(), a.label.tolist(), strict=True)
    ]
    project = make_project(engine, "abcd", model="touchstone")
    accept(engine, project, given[:-CHALLENGES])
    drain(runtime, project)
    fit(engine, runtime, project)
    accept(engine, project, given[-CHALLENGES:])  # graded live, by what the refit has learned
    drain(runtime, project)

    found = statuses(engine, project)
    settled = {key: choice for key, (status, choice) in found.items() if status == "settled"}
    wrong = sum(choice != int(crowd.truth[int(key[1:])]) for key, choice in settled.items())
    assert len(settled) >= 0.8 * CHALLENGES
    assert wrong <= 0.05 * len(settled)
    with engine.connect() as connection:
        held = projects.grading(connection, project).prior
    assert held is not None
    assert "caution" in held


def test_skips_of_a_project_are_learned(engine: Engine, runtime: Runtime) -> None:
    """Where one question in four is skipped although it can be answered, three skips in six say less than elsewhere."""
    random = torch.Generator().manual_seed(1)
    draw = torch.rand(60, 8, generator=random)
    given: list[Answer] = []
    for challenge in range(60):
        for respondent in range(8):
            if draw[challenge, respondent] < 0.4:
                given.append({"challenge": f"c{challenge}", "respondent": f"r{respondent}", "skip": True})
            else:
                given.append(answer(f"c{challenge}", f"r{respondent}", "ab"[challenge % 2]))
    given += [{"challenge": "lost", "respondent": f"r{respondent}", "skip": True} for respondent in range(8)]
    project = make_project(engine, "ab", model="touchstone")
    accept(engine, project, given)
    drain(runtime, project)
    before = statuses(engine, project)
    fit(engine, runtime, project)
    after = statuses(engine, project)

    assert before["lost"][0] == after["lost"][0] == "unanswerable"
    refused = [sum(status == "unanswerable" for status, _ in found.values()) for found in (before, after)]
    assert refused[0] > refused[1] == 1
