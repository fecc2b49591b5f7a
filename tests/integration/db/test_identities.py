"""Names to ids: one id for each name, whoever makes it first."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine, event

from db import identities
from db.identities import Keys
from db.server import Server
from tests.integration.workers.crowd import make_project, scalar
from tests.locks import waiting_for_locks
from tests.waiting import until


@pytest.mark.parametrize("resolve", [identities.challenges, identities.respondents])
def test_two_transactions_that_make_the_same_names(engine: Engine, resolve: type) -> None:
    project = make_project(engine)

    def second() -> dict[str, int]:
        with engine.begin() as connection:
            return resolve(connection, project, ["a", "b", "ä"])

    with ThreadPoolExecutor(1) as pool:
        with engine.begin() as connection:
            mine = resolve(connection, project, ["ä", "b", "b"])
            waiting = pool.submit(second)
            until(lambda: waiting_for_locks(engine), "the second to wait for the first")
        theirs = waiting.result()
    assert {key: theirs[key] for key in mine} == mine
    assert len(set(theirs.values())) == 3
    with engine.connect() as connection:
        states = "SELECT (SELECT count(*) FROM consensus) + (SELECT count(*) FROM respondent_statistics)"
        assert scalar(connection, states) == 3


def test_names_belong_to_their_project(engine: Engine) -> None:
    one, two = make_project(engine, name="one"), make_project(engine, name="two")
    with engine.begin() as connection:
        assert identities.challenges(connection, one, ["c"]) != identities.challenges(connection, two, ["c"])
        assert identities.challenges(connection, one, []) == {}


def test_keys_that_were_met_are_found_without_asking(engine: Engine) -> None:
    one, two = make_project(engine, name="one"), make_project(engine, name="two")
    server = Server(engine)
    keys = Keys(engine, server, most=60, kept=8)
    asked: list[str] = []
    event.listen(engine, "checkout", lambda *_: asked.append("a connection"))

    def resolve(project: int, challenges: list[str], respondents: list[str]) -> list[list[int]]:
        asked.clear()
        found = keys.resolve(project, challenges, respondents)
        return [found.challenge.tolist(), found.respondent.tolist()]

    challenges, respondents = resolve(one, ["a", "b", "a"], ["r", "s"])
    assert challenges[0] == challenges[2] != challenges[1]
    assert resolve(two, ["a"], []) != [[challenges[0]], []]
    assert resolve(one, ["b", "a"], ["s", "r"]) == [challenges[1::-1], respondents[::-1]]
    assert not asked
    resolve(one, list("uvwxyz"), [])  # nine: the oldest of each project goes
    assert resolve(one, ["b"], []) == [challenges[1:2], []]
    assert not asked
    assert resolve(one, ["a"], []) == [challenges[:1], []]
    assert asked
    assert resolve(two, ["a"], []) != [challenges[:1], []]
    assert asked
    resolve(one, [f"k{n}" for n in range(20)], [])  # more than are kept
    assert resolve(one, ["k0"], []) == resolve(one, ["k0"], [])
    engine.dispose()
    found = resolve(one, ["never met"], [])  # on a connection made anew: what was known before is not trusted
    assert resolve(one, ["never met"], []) == found
    assert asked  # nor what was asked for then: some of it may have come by a connection before
    assert resolve(one, ["a"], []) == [challenges[:1], []]
    assert asked
    resolve(one, ["a"], [])
    assert not asked
    server.seen([datetime.now(UTC)])  # behind a pooler that has taken over to another one
    assert resolve(one, ["a"], []) == [challenges[:1], []]
    assert asked


@pytest.mark.parametrize("key", ['"', "\\", "a\nb", "ä\u2028", "\U0001f600", "null", "'"])
def test_any_key_is_found_as_it_was_named(engine: Engine, key: str) -> None:
    project = make_project(engine)
    with engine.begin() as connection:
        made = identities.respondents(connection, project, [key])
        assert list(made) == [key]
        assert identities.respondents(connection, project, [key]) == made
