"""an index of batches that ended without grades

Revision: 0011
Revises: 0010

Safe while the previous release runs (expand -> backfill -> contract over three releases):
- add columns as NULL or with a constant default; never rename; drop only what the previous release no longer reads;
- indexes on filled tables: CREATE INDEX CONCURRENTLY inside `with op.get_context().autocommit_block():`;
- constraints on filled tables: add NOT VALID, then VALIDATE in a migration of their own;
- backfill in bounded chunks outside the migration; no models are imported here; `downgrade` puts back what was.

To list the few dead batches of a project, all of its batches were looked through.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0011"
down_revision: str | Sequence[str] | None = "0010"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

NAME = "ix_batches_ended"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute(
            f"DROP INDEX CONCURRENTLY IF EXISTS {NAME}"
        )  # what is left of an attempt that was cut off is invalid
        op.execute("SET lock_timeout = 0")  # it waits for long reads, and nobody for it
        op.create_index(
            NAME,
            "batches",
            ["project_id", "id"],
            postgresql_where=sa.text("state IN ('dead', 'cancelled')"),
            postgresql_concurrently=True,
        )
        op.execute("SET lock_timeout = '5s'")


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.drop_index(NAME, "batches", postgresql_concurrently=True, if_exists=True)
