"""turns may owe respondents' statistics to their rows

Revision: 0009
Revises: 0008

Stop the workers of the release before: they take respondents' rows for all there is, and would lose what is owed to
them (docs/decisions/0011). Else what holds for others: safe while the previous release runs.
- add columns as NULL or with a constant default; never rename; drop only what the previous release no longer reads;
- indexes on filled tables: CREATE INDEX CONCURRENTLY inside `with op.get_context().autocommit_block():`;
- constraints on filled tables: add NOT VALID, then VALIDATE in a migration of their own;
- backfill in bounded chunks outside the migration; no models are imported here; `downgrade` puts back what was.

`downgrade` wants everything to be paid: it stops if anything is owed, which an idle fleet has none of.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0009"
down_revision: str | Sequence[str] | None = "0008"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

ZERO = sa.text("0")


def upgrade() -> None:
    op.add_column("respondent_statistics", sa.Column("turn", sa.BigInteger(), server_default=ZERO, nullable=False))
    op.add_column("turns", sa.Column("paid", sa.BigInteger(), server_default=ZERO, nullable=False))
    op.execute("UPDATE turns SET paid = number")
    op.add_column("moves", sa.Column("width", sa.Integer(), nullable=True))
    op.add_column("moves", sa.Column("owed", sa.LargeBinary(), nullable=True))
    op.execute("ALTER TABLE moves ALTER COLUMN owed SET STORAGE EXTERNAL, ALTER COLUMN owed SET STATISTICS 0")


def downgrade() -> None:
    op.execute("""
        DO $$ BEGIN
            IF EXISTS (SELECT FROM moves m JOIN turns t USING (project_id) WHERE m.number > t.paid AND m.owed IS NOT NULL)
            THEN RAISE EXCEPTION 'statistics are owed to respondents: let the fleet be idle for a minute';
            END IF;
        END $$
    """)
    op.drop_column("moves", "owed")
    op.drop_column("moves", "width")
    op.drop_column("turns", "paid")
    op.drop_column("respondent_statistics", "turn")
