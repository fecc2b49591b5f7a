"""no statistics of columns that nobody searches, and fewer vacuums of rows that are updated in place

Revision: 0008
Revises: 0007

Safe while the previous release runs (expand -> backfill -> contract over three releases):
- add columns as NULL or with a constant default; never rename; drop only what the previous release no longer reads;
- indexes on filled tables: CREATE INDEX CONCURRENTLY inside `with op.get_context().autocommit_block():`;
- constraints on filled tables: add NOT VALID, then VALIDATE in a migration of their own;
- backfill in bounded chunks outside the migration; no models are imported here; `downgrade` puts back what was.

ANALYZE takes arrays apart to count their elements. Under a flood autovacuum spent most of its time so, a quarter of a
core, on columns that stand in no condition.
"""

from collections.abc import Sequence

from alembic import op

revision: str = "0008"
down_revision: str | Sequence[str] | None = "0007"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

PACKED = {
    "bulletins": (
        "challenge_ids", "versions", "answers", "confidences", "statuses", "causes", "answered", "skips", "digests",
        "posteriors", "answers_before", "confidences_before", "statuses_before",
    ),
    "consensus": ("raw", "posterior", "packed", "positions"),
    "moves": ("challenge_ids", "respondent_ids"),
    "respondent_statistics": ("counts", "gold"),
    "retained_verdicts": ("posterior",),
    "sheets": (
        "challenge_ids", "respondent_ids", "choices", "grades", "positions", "answered_at", "durations", "counted",
        "sessions",
    ),
}  # fmt: skip
UPDATED = ("consensus", "respondent_statistics")
"""Nearly all of their dead rows are cleared away by the next update of the page (HOT), without a vacuum."""


def upgrade() -> None:
    _analyse(0)
    for table in UPDATED:
        op.execute(f"ALTER TABLE {table} SET (autovacuum_vacuum_scale_factor = 2)")


def downgrade() -> None:
    for table in UPDATED:
        op.execute(f"ALTER TABLE {table} RESET (autovacuum_vacuum_scale_factor)")
    _analyse(-1)


def _analyse(target: int) -> None:
    for table, columns in PACKED.items():
        actions = ", ".join(f"ALTER COLUMN {column} SET STATISTICS {target}" for column in columns)
        op.execute(f"ALTER TABLE {table} {actions}")
