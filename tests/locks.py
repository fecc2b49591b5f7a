"""Who waits for whom."""

from sqlalchemy import Engine, text

_WAITING = text(
    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name LIKE :application"
)


def waiting_for_locks(engine: Engine, application: str = "test") -> int:
    """How many connections of an application (a pattern of LIKE) wait for what somebody else holds."""
    with engine.connect() as connection:
        return int(connection.execute(_WAITING, {"application": application}).scalar_one())
