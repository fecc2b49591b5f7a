"""Two processes that migrate the same database at once."""

import subprocess
import sys

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, text

from config.environment import inherited
from tests.waiting import until

ADVISORY_LOCK = 0x746F756368

_THERE = text("""
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'touchstone-migrate' AND state = 'idle'
""")
"""Connections of upgrades that do nothing; each has two."""


def test_concurrent_upgrades_take_turns(database: str, alembic: Config, engine: Engine) -> None:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": ADVISORY_LOCK})
        upgrades = [_upgrade(database), _upgrade(database)]
        try:
            until(lambda: connection.execute(_THERE).scalar_one() >= 4, "two upgrades that wait for the lock")
            tables = connection.execute(text("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")).scalar_one()
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": ADVISORY_LOCK})
            ends = [upgrade.communicate(timeout=60) for upgrade in upgrades]
        finally:
            for upgrade in upgrades:
                upgrade.kill()
                upgrade.wait()
    assert tables == 0
    assert [upgrade.returncode for upgrade in upgrades] == [0, 0], ends
    command.check(alembic)


def _upgrade(url: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "cli.main", "db", "upgrade"],
        env=inherited(DATABASE_URL=url),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
