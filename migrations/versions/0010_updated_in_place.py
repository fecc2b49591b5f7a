"""fewer statistics of tables whose rows are updated all the time

Revision: 0010
Revises: 0009

Safe while the previous release runs (expand -> backfill -> contract over three releases):
- add columns as NULL or with a constant default; never rename; drop only what the previous release no longer reads;
- indexes on filled tables: CREATE INDEX CONCURRENTLY inside `with op.get_context().autocommit_block():`;
- constraints on filled tables: add NOT VALID, then VALIDATE in a migration of their own;
- backfill in bounded chunks outside the migration; no models are imported here; `downgrade` puts back what was.

Autovacuum counts updates as it counts new rows. Under a flood it analysed these tables every time it looked, though how
their columns are distributed changes with growth alone.
"""

from collections.abc import Sequence

from alembic import op

revision: str = "0010"
down_revision: str | Sequence[str] | None = "0009"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SCALES = {"batches": 0.5, "consensus": 1, "respondent_statistics": 1}
"""Updates and new rows, by row, after which a table is analysed."""


def upgrade() -> None:
    for table, scale in SCALES.items():
        op.execute(f"ALTER TABLE {table} SET (autovacuum_analyze_scale_factor = {scale})")


def downgrade() -> None:
    for table in SCALES:
        op.execute(f"ALTER TABLE {table} RESET (autovacuum_analyze_scale_factor)")
