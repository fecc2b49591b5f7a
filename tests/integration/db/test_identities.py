"""Names to ids: one id for each name, whoever makes it first."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine

from db import identities
from tests.integration.workers.crowd import make_project, scalar
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
            until(lambda: blocked(engine), "the second to wait for the first")
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


def blocked(engine: Engine) -> bool:
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'test'"
    with engine.connect() as connection:
        return bool(scalar(connection, query))
