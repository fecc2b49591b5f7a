"""Following gold: statistics move, nothing that can be read does."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, text

from consensus import gold as flags
from db import gold, gold_holders, groups, identities, projects, runs
from tests.integration.workers.crowd import Answer, accept, answer, books, crowd, drain, make_project, scalar, verdicts
from workers import refit, regrade, sweep
from workers.runtime import NOTHING_LEFT, Runtime, WorkLeft

KNOWN = {f"c{number}": "abc"[number % 3] for number in range(0, 30, 3)}


def put(engine: Engine, project: int, answers: Mapping[str, str]) -> None:
    with engine.begin() as connection:
        classes = projects.grading(connection, project).classes
        ids = identities.challenges(connection, project, list(answers))
        codes = [classes.index(key) for key in answers.values()]
        gold.put(connection, project, [ids[key] for key in answers], codes, [None] * len(answers))


def graded(engine: Engine, runtime: Runtime) -> int:
    project = make_project(engine)
    accept(engine, project, crowd(3))
    assert drain(runtime, project) == []
    return project


def shown(engine: Engine) -> list[Any]:
    """Everything that is stored of consensus but for what it is counted as, and all versions."""
    with engine.connect() as connection:
        query = "SELECT to_jsonb(c) - 'gold' FROM consensus c ORDER BY challenge_id"
        return [
            list(connection.execute(text(query)).scalars()),
            scalar(connection, "SELECT count(*) FROM verdicts"),
            scalar(connection, "SELECT sum(events) FROM turns"),
        ]


def statistics(engine: Engine) -> list[Any]:
    with engine.connect() as connection:
        query = text("SELECT counts, gold FROM respondent_statistics ORDER BY respondent_id")
        return [tuple(np.round(part, 9).tolist() for part in row) for row in connection.execute(query)]


def test_statistics_follow_gold_and_nothing_that_is_shown_moves(engine: Engine, runtime: Runtime) -> None:
    project = graded(engine, runtime)
    before, counted = shown(engine), statistics(engine)
    put(engine, project, KNOWN)
    assert regrade.run(runtime, project) == WorkLeft(refits=(project,))
    books(engine, project)
    assert shown(engine) == before
    assert statistics(engine) != counted
    with engine.connect() as connection:
        (run,) = runs.page(connection, project, after=0, limit=9)
        assert (run.state, run.cause) == ("waiting", "gold")
        assert gold.waiting(connection) == []
    assert regrade.run(runtime, project) == NOTHING_LEFT

    with engine.begin() as connection:
        for key in KNOWN:
            gold.change(connection, project, key, "retired")
    regrade.run(runtime, project)
    books(engine, project)
    assert shown(engine) == before
    with engine.connect() as connection:
        assert scalar(connection, "SELECT count(*) FROM consensus WHERE gold IS NOT NULL") == 0
        assert not any(any(row) for row in connection.execute(text("SELECT gold FROM respondent_statistics")).scalars())


def test_corrected_gold_is_counted_as_corrected(engine: Engine, runtime: Runtime) -> None:
    project, other = graded(engine, runtime), make_project(engine, name="other")
    put(engine, project, dict.fromkeys(KNOWN, "b"))
    regrade.run(runtime, project)
    put(engine, project, KNOWN)
    regrade.run(runtime, project)
    books(engine, project)
    with engine.connect() as connection:
        found, codes = gold.active(connection, project)
        assert codes.tolist() == [0] * len(KNOWN)
        assert len(found) == len(KNOWN)
        assert gold.active(connection, other)[0].tolist() == []


def test_what_a_refit_makes_of_gold_is_told_like_any_refit(engine: Engine, runtime: Runtime) -> None:
    project = graded(engine, runtime)
    put(engine, project, KNOWN)
    regrade.run(runtime, project)
    refit.run(runtime, project)
    books(engine, project)
    assert all(verdict.final for verdict in verdicts(engine, project).values())
    with engine.connect() as connection:
        causes = connection.execute(text("SELECT DISTINCT cause FROM verdicts ORDER BY 1")).scalars().all()
    assert set(causes) <= {"answers", "gold"}


def test_gold_before_any_answer_asks_for_no_refit(engine: Engine, runtime: Runtime) -> None:
    project = make_project(engine)
    put(engine, project, KNOWN)
    assert regrade.run(runtime, project) == NOTHING_LEFT
    with engine.connect() as connection:
        assert gold.waiting(connection) == []
        assert runs.waiting(connection) == []
    accept(engine, project, crowd(3))
    drain(runtime, project)
    books(engine, project)
    with engine.connect() as connection:
        assert scalar(connection, "SELECT count(*) FROM consensus WHERE gold IS NOT NULL") == len(KNOWN)


def test_the_sweep_finds_gold_that_nobody_has_followed(engine: Engine, runtime: Runtime) -> None:
    project = graded(engine, runtime)
    put(engine, project, {"c0": "a"})
    assert sweep.run(runtime).regrades == (project,)
    regrade.run(runtime, project)
    assert sweep.run(runtime).regrades == ()


def test_a_slice_that_ends_leaves_the_rest(engine: Engine, runtime: Runtime) -> None:
    project = graded(engine, runtime)
    put(engine, project, {f"g{number}": "a" for number in range(regrade.CHUNK + 1)})
    hasty = replace(runtime, settings=runtime.settings.model_copy(update={"slice_ms": 1}))
    assert regrade.run(hasty, project) == WorkLeft(regrades=(project,))
    assert regrade.run(hasty, project).regrades == ()


def test_answers_that_come_before_the_regrade_count_gold_at_once(engine: Engine, runtime: Runtime) -> None:
    project = graded(engine, runtime)
    put(engine, project, KNOWN)
    accept(engine, project, [answer(key, "late", "a") for key in KNOWN])
    drain(runtime, project)
    books(engine, project)
    assert regrade.run(runtime, project).refits == (project,)
    books(engine, project)


def test_a_refit_flags_gold_that_the_crowd_contradicts(engine: Engine, runtime: Runtime) -> None:
    project = make_project(engine)
    answers = [
        answer(f"c{number}", f"r{who}", "abc"[(number + (number % 10 == who)) % 3])
        for number in range(30)
        for who in range(8)
    ]
    accept(engine, project, answers)
    drain(runtime, project)
    put(engine, project, KNOWN | {"c0": "b", "unanswered": "a"})
    regrade.run(runtime, project)
    refit.run(runtime, project)
    with engine.connect() as connection:
        rows = gold.page(connection, project, state=None, flagged=None, bad=20.0, leaked=100.0, after=0, limit=1000)
    assert [row.challenge for row in rows if row.bad_odds is None] == ["unanswered"]
    assert [row.challenge for row in rows if (row.bad_odds or 0) > 1] == ["c0"]
    assert not [row.challenge for row in rows if (row.leaked_odds or 0) > 1]


def test_flags_of_a_server_that_may_have_forgotten_are_found_anew(
    engine: Engine, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = graded(engine, runtime)
    put(engine, project, KNOWN)
    regrade.run(runtime, project)
    find, found = flags.flag, []

    def restored(known: flags.Gold) -> flags.Flags:
        found.append(find(known))
        if len(found) == 1:  # as after a crash of one of its processes
            with engine.begin() as connection:
                connection.execute(text("SELECT pg_stat_reset_shared('bgwriter')"))
        return found[-1]

    monkeypatch.setattr(flags, "flag", restored)
    refit.run(runtime, project)
    assert len(found) == 2
    with engine.connect() as connection:
        rows = gold.page(connection, project, state=None, flagged=None, bad=20.0, leaked=100.0, after=0, limit=1000)
        (run,) = runs.page(connection, project, after=0, limit=9)
    assert run.state == "done"
    assert all(row.bad_odds is not None for row in rows)


def test_a_refit_finds_who_knows_gold_from_elsewhere(engine: Engine, runtime: Runtime) -> None:
    """`cheat` is right on gold alone, and half the time elsewhere; the others err alike on both."""
    project = make_project(engine)
    known = {f"c{number}": "abc"[number % 3] for number in range(0, 80, 2)}
    answers = honest()
    answers += [
        answer(f"c{number}", "cheat", "abc"[(number + (number % 2 and number % 4 == 1)) % 3]) for number in range(80)
    ]
    accept(engine, project, answers)
    drain(runtime, project)
    put(engine, project, known)
    regrade.run(runtime, project)
    refit.run(runtime, project)
    assert [row.respondent for row in holders(engine, project)] == ["cheat"]
    with engine.begin() as connection:
        for challenge in known:
            gold.change(connection, project, challenge, "retired", None)
    regrade.run(runtime, project)
    refit.run(runtime, project)
    assert holders(engine, project) == []


def test_a_group_that_shares_the_key_is_surer_than_its_members(engine: Engine, runtime: Runtime) -> None:
    """Two are right on gold alone and answer less than it takes to be sure of one of them."""
    project = make_project(engine)
    known = {f"c{number}": "abc"[number % 3] for number in range(0, 80, 2)}
    answers = honest()
    answers += [
        answer(f"c{number}", cheat, "abc"[(number + (number % 2 and number % 4 == 1)) % 3])
        for start, cheat in enumerate(("cheat-0", "cheat-1"))
        for number in range(40 * start, 40 * start + 40)
    ]
    accept(engine, project, answers)
    drain(runtime, project)
    with engine.begin() as connection:
        ids = identities.respondents(connection, project, ["cheat-0", "cheat-1", "r0", "r1", "never met"])
    with engine.begin() as connection:
        groups.put(connection, project, "ring", [ids["cheat-0"], ids["cheat-1"]])
        groups.put(connection, project, "friends", [ids["r0"], ids["r1"], ids["never met"]])
    put(engine, project, known)
    regrade.run(runtime, project)
    refit.run(runtime, project)
    with engine.connect() as connection:
        found = {row.name: row.odds for row in groups.page(connection, project, odds=0, after="", limit=10)}
        alone = [row.odds for row in gold_holders.page(connection, project, odds=0.0, after=None, limit=10)]
    assert found["ring"] is not None
    assert found["ring"] > max(1.0, *alone)
    assert found["friends"] is not None
    assert found["friends"] < 1


def honest() -> list[Answer]:
    """Eight respondents to 80 challenges, who err alike on gold and elsewhere."""
    return [
        answer(f"c{number}", f"r{who}", "abc"[(number + (number // 2 % 5 == who % 5)) % 3])
        for number in range(80)
        for who in range(8)
    ]


def holders(engine: Engine, project: int) -> list[gold_holders.GoldHolderRow]:
    with engine.connect() as connection:
        return gold_holders.page(connection, project, odds=1.0, after=None, limit=10)
