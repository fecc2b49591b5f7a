"""answers packed with their challenge are stored as they are

Revision: 0012
Revises: 0011

Safe while the previous release runs (expand -> backfill -> contract over three releases):
- add columns as NULL or with a constant default; never rename; drop only what the previous release no longer reads;
- indexes on filled tables: CREATE INDEX CONCURRENTLY inside `with op.get_context().autocommit_block():`;
- constraints on filled tables: add NOT VALID, then VALIDATE in a migration of their own;
- backfill in bounded chunks outside the migration; no models are imported here; `downgrade` puts back what was.

From some sixty answers on, Postgres compressed all answers to a challenge at each new one: with two thousand of them
that was three quarters of its work. What is stored already stays compressed until it is next written.
"""

from collections.abc import Sequence

from alembic import op

revision: str = "0012"
down_revision: str | Sequence[str] | None = "0011"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.execute("ALTER TABLE consensus ALTER COLUMN packed SET STORAGE EXTERNAL")


def downgrade() -> None:
    op.execute("ALTER TABLE consensus ALTER COLUMN packed SET STORAGE EXTENDED")
