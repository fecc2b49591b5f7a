"""${message}

Revision: ${up_revision}
Revises: ${down_revision | comma,n}

Safe while the previous release runs (expand -> backfill -> contract over three releases):
- add columns as NULL or with a constant default; never rename; drop only what the previous release no longer reads;
- indexes on filled tables: CREATE INDEX CONCURRENTLY inside `with op.get_context().autocommit_block():`;
- constraints on filled tables: add NOT VALID, then VALIDATE in a migration of their own;
- backfill in bounded chunks outside the migration; no models are imported here; `downgrade` puts back what was.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}

revision: str = ${repr(up_revision)}
down_revision: str | Sequence[str] | None = ${repr(down_revision)}
branch_labels: str | Sequence[str] | None = ${repr(branch_labels)}
depends_on: str | Sequence[str] | None = ${repr(depends_on)}


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    ${downgrades if downgrades else "pass"}
