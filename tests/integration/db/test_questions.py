"""Statements whose results are waited for together."""

from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from db import transactions
from db.questions import Question, ask, ask_all, rows
from tests.integration.workers.crowd import scalar

MAKE = Question(text("CREATE TEMP TABLE t ON COMMIT DROP AS SELECT n FROM generate_series(1, 3) AS n"), {}, lambda _: 3)
FIND = Question(text("SELECT n, -n AS minus FROM t WHERE n > :least ORDER BY n"), {"least": 1}, rows)
FOUND = [{"n": 2, "minus": -2}, {"n": 3, "minus": -3}]
WRONG = Question("SELECT 1 / %(zero)s AS n", {"zero": 0}, rows)


@pytest.mark.parametrize("version", [(18,), (16,)])
def test_each_sees_what_those_before_have_done(
    engine: Engine, version: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    with engine.begin() as connection:
        monkeypatch.setattr(engine.dialect, "server_version_info", version)  # older ones are asked one after the other
        assert ask_all(connection, [MAKE, FIND]) == [3, FOUND]
        assert ask(connection, FIND) == FOUND
        assert ask_all(connection, []) == []
        assert scalar(connection, "SELECT count(*) FROM t") == 3
    with engine.begin() as connection:
        assert scalar(connection, "SELECT to_regclass('t') IS NULL")


def test_the_first_that_fails_is_told_and_the_connection_is_free(engine: Engine) -> None:
    tries: list[list[Question[Any]]] = [[WRONG], [MAKE, WRONG], [MAKE, WRONG, FIND]]
    with engine.connect() as connection:
        for questions in tries:
            with pytest.raises(DBAPIError, match="division by zero"), connection.begin():
                ask_all(connection, questions)
        assert scalar(connection, "SELECT to_regclass('t') IS NULL")


def test_settings_are_adopted_before_what_is_asked_behind_them(engine: Engine) -> None:
    shown = Question(text("SELECT current_setting('enable_seqscan') AS it"), {}, rows)
    with engine.begin() as connection:
        _, found = ask_all(connection, [transactions.adoption(transactions.BY_INDEX, transactions.WALKED), shown])
        assert found == [{"it": "off"}]
    with engine.begin() as connection:
        assert ask_all(connection, [transactions.adoption(), shown])[1] == [{"it": "on"}]
