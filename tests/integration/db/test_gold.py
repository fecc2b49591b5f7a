"""Gold: put in bulk, followed by workers, flagged."""

import pytest
from sqlalchemy import Connection, Engine

from db import gold, identities
from db.errors import ConflictError, NotFoundError
from db.gold import GoldRow, Put
from tests.integration.workers.crowd import make_project


@pytest.fixture
def project(engine: Engine) -> int:
    return make_project(engine, "ab")


def put(engine: Engine, project: int, answers: dict[str, int], note: str | None = None) -> Put:
    with engine.begin() as connection:
        ids = identities.challenges(connection, project, list(answers))
        return gold.put(
            connection, project, [ids[key] for key in answers], list(answers.values()), [note] * len(answers)
        )


def follow(engine: Engine, project: int) -> list[int]:
    """As workers do; returns what was pending."""
    with engine.begin() as connection:
        ids = gold.pending(connection, project, 100)
        gold.applied(connection, ids)
        return ids


def listed(connection: Connection, project: int, **filters: object) -> list[GoldRow]:
    given = {"state": None, "flagged": None, "bad": 20.0, "leaked": 100.0, "after": 0, "limit": 100, **filters}
    return gold.page(connection, project, **given)  # type: ignore[arg-type]


def test_it_is_put_once_and_followed_when_it_changes(engine: Engine, project: int) -> None:
    assert put(engine, project, {"z": 0, "a/b": 1}) == Put(2, 0, 0)
    ids = follow(engine, project)
    assert len(ids) == 2
    assert put(engine, project, {"z": 0, "a/b": 1}) == Put(0, 0, 2)
    assert follow(engine, project) == []

    assert put(engine, project, {"z": 1, "a/b": 1, "new": 0}) == Put(1, 1, 1)
    with engine.connect() as connection:
        assert gold.waiting(connection) == [project]
    assert len(follow(engine, project)) == 2
    with engine.connect() as connection:
        assert gold.waiting(connection) == []
        found, codes = gold.active(connection, project)
    assert dict(zip(found.tolist(), codes.tolist(), strict=True)) == dict.fromkeys(ids, 1) | {found[-1]: 0}


def test_a_note_alone_changes_nothing_for_workers(engine: Engine, project: int) -> None:
    put(engine, project, {"c": 0})
    follow(engine, project)
    assert put(engine, project, {"c": 0}, note="by hand") == Put(0, 1, 0)
    assert follow(engine, project) == []
    with engine.connect() as connection:
        assert gold.get(connection, project, "c").note == "by hand"


def test_states(engine: Engine, project: int) -> None:
    put(engine, project, {"c": 0})
    follow(engine, project)

    def change(state: str) -> bool:
        """Whether workers have anything to do for it."""
        with engine.begin() as connection:
            gold.change(connection, project, "c", state)
        return bool(follow(engine, project))

    assert not change("active")
    assert change("disputed")
    with engine.connect() as connection:
        assert gold.active(connection, project)[0].tolist() == []
    assert not change("retired")
    with pytest.raises(ConflictError, match="is retired; it cannot become disputed"):
        change("disputed")
    assert change("active")
    with pytest.raises(NotFoundError, match="'d' is not gold"), engine.begin() as connection:
        gold.change(connection, project, "d", "retired")


def test_consensus_says_what_statistics_count_the_challenge_as(engine: Engine, project: int) -> None:
    put(engine, project, {"c": 1})

    def clamp() -> int | None:
        follow(engine, project)
        with engine.connect() as connection:
            return connection.exec_driver_sql("SELECT gold FROM consensus").scalar_one()

    assert clamp() == 1
    put(engine, project, {"c": 0})
    assert clamp() == 0
    with engine.begin() as connection:
        gold.change(connection, project, "c", "retired")
    assert clamp() is None


def test_two_workers_follow_different_gold(engine: Engine, project: int) -> None:
    put(engine, project, {f"c{number}": 0 for number in range(6)})
    with engine.begin() as one, engine.begin() as other:
        first, second = gold.pending(one, project, 4), gold.pending(other, project, 4)
    assert (len(first), len(second)) == (4, 2)
    assert not set(first) & set(second)


def test_odds_are_kept_until_the_answer_changes(engine: Engine, project: int) -> None:
    put(engine, project, {"bad": 0, "leaked": 0, "good": 0, "new": 0})
    with engine.begin() as connection:
        ids = {row.challenge: row.challenge_id for row in listed(connection, project)}
        gold.flag(connection, [ids["leaked"], ids["bad"], ids["good"]], [1.0, 20.0, 0.1], [100.0, 1.0, 0.1])
    with engine.connect() as connection:
        flagged = [row.challenge for row in listed(connection, project, flagged=True)]
        assert sorted(flagged) == ["bad", "leaked"]
        assert sorted(row.challenge for row in listed(connection, project, flagged=False)) == ["good", "new"]
    put(engine, project, {"bad": 1})
    with engine.connect() as connection:
        assert gold.get(connection, project, "bad").bad_odds is None
        assert gold.get(connection, project, "leaked").leaked_odds == 100.0


def test_pages_and_states(engine: Engine, project: int) -> None:
    put(engine, project, {f"c{number}": number % 2 for number in range(5)})
    with engine.begin() as connection:
        gold.change(connection, project, "c3", "disputed", "looks wrong")
        first = listed(connection, project, limit=3)
        rest = listed(connection, project, after=first[-1].challenge_id)
        assert sorted(row.challenge for row in first + rest) == [f"c{number}" for number in range(5)]
        (disputed,) = listed(connection, project, state="disputed")
        assert (disputed.challenge, disputed.note, disputed.consensus, disputed.answers) == (
            "c3",
            "looks wrong",
            None,
            0,
        )
        assert listed(connection, project + 1) == []
