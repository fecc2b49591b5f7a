"""Faults of a database: triggers that break a chosen statement a chosen number of times."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine

from tests.integration.workers.crowd import execute

TERMINATE = "PERFORM pg_terminate_backend(pg_backend_pid()), pg_sleep(1)"
"""The connection is lost in the middle of the statement."""

UNBOUNDED = "IF current_setting('idle_in_transaction_session_timeout') = '0' THEN RAISE EXCEPTION 'unbounded'; END IF"
"""Whoever holds rows without a bound to how long they may stop in the middle is found out."""


def fail(code: str) -> str:
    """The statement fails with this SQLSTATE."""
    return f"RAISE EXCEPTION 'a fault of the test' USING ERRCODE = '{code}'"


@contextmanager
def fault(engine: Engine, event: str, action: str, *, times: int, when: str = "true") -> Iterator[None]:
    """Run the action before the first rows that the event (`INSERT ON sheets`, say) meets, then let all pass.

    Counts by a sequence, which a rollback does not turn back.
    """
    execute(engine, "CREATE SEQUENCE fault_count")
    execute(
        engine,
        "CREATE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        f" IF nextval('fault_count') <= {times} THEN {action}; END IF; RETURN NEW; END $$",
    )
    execute(engine, f"CREATE TRIGGER fault BEFORE {event} FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION fault()")
    try:
        yield
    finally:
        execute(engine, "DROP FUNCTION fault CASCADE")
        execute(engine, "DROP SEQUENCE fault_count")
