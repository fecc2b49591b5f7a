"""Versions of verdicts, gold and skips: what is written when, and what gold leaves no trace in."""

from typing import Any

import pytest
from sqlalchemy import Engine, text

from db import projects, runs
from tests.integration.workers.crowd import (
    Answer,
    accept,
    answer,
    books,
    crowd,
    drain,
    gild,
    make_project,
    split,
    verdicts,
)
from workers import refit, regrade
from workers.runtime import Runtime


def skip(challenge: str, respondent: str) -> Answer:
    return {"challenge": challenge, "respondent": respondent, "skip": True}


def versions(engine: Engine, project: int) -> dict[str, list[Any]]:
    query = text(
        "SELECT ch.key, v.* FROM verdicts v JOIN challenges ch ON ch.id = v.challenge_id"
        " WHERE ch.project_id = :p ORDER BY v.version"
    )
    found: dict[str, list[Any]] = {}
    with engine.connect() as connection:
        for row in connection.execute(query, {"p": project}):
            found.setdefault(row.key, []).append(row)
    return found


def rule(engine: Engine, project: int, **rules: float) -> None:
    with engine.begin() as connection:
        name = connection.execute(text("SELECT name FROM projects WHERE id = :p"), {"p": project}).scalar_one()
        tenant = connection.execute(text("SELECT tenant_id FROM projects WHERE id = :p"), {"p": project}).scalar_one()
        projects.change(connection, tenant, name, rules)


def grade(engine: Engine, runtime: Runtime, project: int, *answers: Answer) -> None:
    accept(engine, project, answers)
    assert drain(runtime, project) == []
    books(engine, project)


def test_a_version_is_written_when_something_visible_changes(engine: Engine, runtime: Runtime) -> None:
    project = make_project(engine, "ab")
    rule(engine, project, target_error=0.2, min_answers=2, report_step=1.0)
    grade(engine, runtime, project, answer("c", "r1", "a"))
    grade(engine, runtime, project, answer("c", "r2", "a"))
    grade(engine, runtime, project, answer("c", "r3", "a"))
    for respondent in ("r4", "r5", "r6", "r7"):
        grade(engine, runtime, project, answer("c", respondent, "b"))
    told = [(row.version, row.answer, row.status, row.cause, row.answers) for row in versions(engine, project)["c"]]
    assert told[:2] == [(1, 0, "open", "answers", 1), (2, 0, "settled", "answers", 2)]
    assert told[2][2:4] == ("open", "late-answer")
    assert (told[-1][1], told[-1][0]) == (1, len(told))
    assert len(told) < 7


def test_a_confidence_that_moves_makes_versions(engine: Engine, runtime: Runtime) -> None:
    project = make_project(engine, "ab")
    rule(engine, project, report_step=1e-6, min_answers=10)
    for number in range(4):
        grade(engine, runtime, project, answer("c", f"r{number}", "a"))
    rows = versions(engine, project)["c"]
    assert [row.version for row in rows] == [1, 2, 3, 4]
    assert len({row.input_digest for row in rows}) == 4
    assert {row.configuration_id for row in rows} != {None}


def test_the_digest_is_of_the_set_of_answers(engine: Engine, runtime: Runtime) -> None:
    digests = []
    for order in ([0, 1, 2], [2, 0, 1]):
        project = make_project(engine, "ab", name=f"p{order[0]}")
        answers = [answer("c", f"r{number}", "ab"[number % 2]) for number in range(3)]
        grade(engine, runtime, project, *(answers[number] for number in sorted(order)))  # ids in one order
        digests.append(versions(engine, project)["c"][-1].input_digest)
    assert len(set(digests)) == 2  # respondents of another project are others
    again = make_project(engine, "ab", name="again")
    for number in (0, 1):
        grade(engine, runtime, again, answer("c", f"r{number}", "a"), answer("d", f"r{number}", "a"))
    rows = versions(engine, again)
    assert rows["c"][-1].input_digest == rows["d"][-1].input_digest


def test_who_cannot_tell_is_counted_apart(engine: Engine, runtime: Runtime) -> None:
    project = make_project(engine, "ab")
    grade(engine, runtime, project, skip("c", "r1"), answer("c", "r2", "a"), answer("d", "r1", "b"))
    assert verdicts(engine, project)["c"].answers == 1
    grades = _grades(engine)
    assert grades == [(-1, None), (0, pytest.approx(grades[1][1])), (1, pytest.approx(grades[2][1]))]
    _refit(engine, runtime, project)
    assert books(engine, project).graded == 3


def test_what_nobody_can_answer_is_unanswerable(engine: Engine, runtime: Runtime) -> None:
    project = make_project(engine, "ab")
    grade(engine, runtime, project, *(skip("c", f"r{number}") for number in range(6)))
    last = versions(engine, project)["c"][-1]
    assert (last.status, last.answer, last.answers, last.skips) == ("unanswerable", None, 0, 6)


def test_gold_is_counted_as_it_is_known(engine: Engine, runtime: Runtime) -> None:
    project = make_project(engine)
    answers = crowd(3)
    grade(engine, runtime, project, *answers[: len(answers) // 2])
    gild(engine, project, {f"c{number}": "abc"[number % 3] for number in range(0, 30, 3)})
    regrade.run(runtime, project)
    for batch in split(answers[len(answers) // 2 :], 30):
        grade(engine, runtime, project, *batch)
    _refit(engine, runtime, project)
    books(engine, project)
    gild(engine, project, {"c0": "b", "c3": "a"}, "retired")
    regrade.run(runtime, project)
    grade(engine, runtime, project, answer("c0", "new", "a"), answer("c3", "new", "a"), answer("c6", "new", "a"))
    with engine.connect() as connection:
        known = connection.execute(
            text("SELECT ch.key, c.gold FROM consensus c JOIN challenges ch ON ch.id = c.challenge_id ORDER BY 1")
        ).all()
    assert {row.key: row.gold for row in known if row.key in {"c0", "c3", "c6", "c1"}} == {
        "c0": None,
        "c1": None,
        "c3": None,
        "c6": 0,
    }
    _refit(engine, runtime, project)
    books(engine, project)


def test_gold_leaves_no_trace_while_respondents_have_few_answers(engine: Engine, runtime: Runtime) -> None:
    """The same answers with and without gold: the same verdicts and grades to the bit, but for what gold teaches."""
    found = []
    for name, gold in (("with", True), ("without", False)):
        project = make_project(engine, name=name)
        rule(engine, project, score_answers=1000)
        first, rest = crowd(4)[:20], crowd(4)[20:]
        grade(engine, runtime, project, *first)
        if gold:
            gild(engine, project, {f"c{number}": "abc"[(number + 1) % 3] for number in range(0, 30, 2)})
            regrade.run(runtime, project)
        for batch in split(rest, 25):
            grade(engine, runtime, project, *batch)
        found.append((verdicts(engine, project), [row.grade for row in _rows(engine, project)]))
    assert found[0] == found[1]


def test_gold_teaches_of_those_who_have_many_answers(engine: Engine, runtime: Runtime) -> None:
    """A majority that lies alike is believed, until there is gold."""
    answers = [
        answer(f"c{number}", respondent, "abc"[(number + lie) % 3])
        for number in range(30)
        for respondent, lie in (("honest", 0), ("liar", 1), ("liar's friend", 1))
    ]
    trust = []
    for gold in (True, False):
        project = make_project(engine, name=f"gold-{gold}")
        rule(engine, project, score_answers=5)
        grade(engine, runtime, project, *answers)
        if gold:
            gild(engine, project, {f"c{number}": "abc"[number % 3] for number in range(30)})
            regrade.run(runtime, project)
        _refit(engine, runtime, project)
        with engine.connect() as connection:
            query = "SELECT s.accuracy FROM respondent_statistics s JOIN respondents r ON r.id = s.respondent_id"
            trust.append(
                connection.execute(
                    text(f"{query} WHERE r.project_id = :p AND r.key = 'liar'"), {"p": project}
                ).scalar_one()
            )
    assert trust[0] < 0.2
    assert trust[1] > 0.8


def _refit(engine: Engine, runtime: Runtime, project: int) -> None:
    with engine.begin() as connection:
        runs.request(connection, project, "requested")
    refit.run(runtime, project)
    with engine.connect() as connection:
        assert runs.page(connection, project, after=0, limit=100)[-1].state == "done"


def _rows(engine: Engine, project: int) -> Any:
    query = text(
        "SELECT a.choice, a.grade FROM answers a JOIN batches b ON b.id = a.batch_id WHERE b.project_id = :p"
        " ORDER BY a.batch_id, a.position"
    )
    with engine.connect() as connection:
        return connection.execute(query, {"p": project}).all()


def _grades(engine: Engine) -> list[Any]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text("SELECT choice, grade FROM answers ORDER BY position"))]
