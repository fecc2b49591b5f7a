"""Is this process fit to be sent requests?"""

from pathlib import Path

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

import migrations
from api.schemas.health import Readiness
from db import transactions
from tasks.publisher import Publisher

LOOK = {"statement_timeout": "2s"}


class Probe:
    """Looks at what this process needs. Blocks; one look at a time."""

    def __init__(self, engine: Engine, publisher: Publisher) -> None:
        self._engine = engine
        self._publisher = publisher
        script = ScriptDirectory(str(Path(migrations.__file__).parent))
        self._head = script.get_current_head()
        self._behind = {revision.revision for revision in script.walk_revisions()} - {self._head}

    def look(self) -> Readiness:
        """What is there."""
        postgres, migrated = self._database()
        return Readiness(postgres=postgres, redis=self._publisher.ping(), migrations=migrated)

    def close(self) -> None:
        """Give the connections back."""
        self._publisher.close()

    def _database(self) -> tuple[bool, bool]:
        """Whether Postgres answers, and whether its schema is new enough.

        A revision that this release does not know is a later one, which must not stop this release from serving.
        """
        try:
            with transactions.begun(self._engine, LOOK) as connection:
                revision = MigrationContext.configure(connection).get_current_revision()
        except SQLAlchemyError:
            return False, False
        return True, revision is not None and revision not in self._behind
