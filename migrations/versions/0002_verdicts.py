"""verdicts, gold, events, scores

Revision: 0002
Revises: 0001

Safe while the previous release runs (expand -> backfill -> contract over three releases):
- add columns as NULL or with a constant default; never rename; drop only what the previous release no longer reads;
- indexes on filled tables: CREATE INDEX CONCURRENTLY inside `with op.get_context().autocommit_block():`;
- constraints on filled tables: add NOT VALID, then VALIDATE in a migration of their own;
- backfill in bounded chunks outside the migration; no models are imported here; `downgrade` puts back what was.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0002"
down_revision: str | Sequence[str] | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

STATUS = "status IN ('open', 'settled', 'ambiguous', 'unanswerable')"
CAUSE = "cause IN ('answers', 'refit', 'gold', 'late-answer')"


def upgrade() -> None:
    _checked("api_keys", "scopes", "scopes <@ '{submit,read,admin,gold}' AND cardinality(scopes) > 0")
    _checked("model_runs", "cause", "cause IN ('requested', 'growth', 'age', 'gold')")

    op.add_column("projects", sa.Column("target_error", sa.Double(), server_default=sa.text("0.05"), nullable=False))
    op.add_column("projects", sa.Column("min_answers", sa.Integer(), server_default=sa.text("2"), nullable=False))
    op.add_column("projects", sa.Column("max_answers", sa.Integer(), server_default=sa.text("20"), nullable=False))
    op.add_column("projects", sa.Column("cost_matrix", postgresql.JSONB(), nullable=True))
    op.add_column("projects", sa.Column("answer_cost", sa.Double(), server_default=sa.text("0"), nullable=False))
    op.add_column("projects", sa.Column("report_step", sa.Double(), server_default=sa.text("0.05"), nullable=False))
    op.add_column("projects", sa.Column("score_answers", sa.Integer(), server_default=sa.text("20"), nullable=False))
    op.add_column("projects", sa.Column("bad_gold_odds", sa.Double(), server_default=sa.text("1"), nullable=False))
    op.add_column("projects", sa.Column("leaked_gold_odds", sa.Double(), server_default=sa.text("1"), nullable=False))
    op.add_column("projects", sa.Column("configuration_id", sa.Integer(), nullable=True))

    op.add_column("consensus", sa.Column("status", sa.Text(), server_default="open", nullable=False))
    op.add_column("consensus", sa.Column("version", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.add_column("consensus", sa.Column("reported", sa.Double(), nullable=True))
    op.add_column("consensus", sa.Column("skips", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.add_column("consensus", sa.Column("gold", sa.SmallInteger(), nullable=True))
    _checked("consensus", "status", STATUS)

    op.add_column(
        "respondent_statistics",
        sa.Column("gold", postgresql.ARRAY(sa.Double()), server_default=sa.text("'{}'"), nullable=False),
    )
    op.add_column(
        "respondent_statistics", sa.Column("skips", sa.Integer(), server_default=sa.text("0"), nullable=False)
    )
    op.alter_column("answers", "grade", existing_type=sa.REAL(), nullable=True)
    op.add_column("answers", sa.Column("session", sa.Text(), server_default="", nullable=False))

    op.create_table(
        "gold",
        sa.Column("challenge_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("answer", sa.SmallInteger(), nullable=False),
        sa.Column("state", sa.Text(), server_default="active", nullable=False),
        sa.Column("applied", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("bad_odds", sa.Double(), nullable=True),
        sa.Column("leaked_odds", sa.Double(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("added_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("state IN ('active', 'disputed', 'retired')", name="ck_gold_state"),
        sa.ForeignKeyConstraint(["challenge_id"], ["challenges.id"], name="fk_gold_challenge_id_challenges"),
        sa.PrimaryKeyConstraint("challenge_id", name="pk_gold"),
    )
    op.create_index("ix_gold_project_id_challenge_id", "gold", ["project_id", "challenge_id"])
    op.create_index("ix_gold_pending", "gold", ["project_id", "challenge_id"], postgresql_where=sa.text("NOT applied"))
    op.create_table(
        "verdicts",
        sa.Column("challenge_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("confidence", sa.Double(), nullable=False),
        sa.Column("input_digest", sa.BigInteger(), nullable=False),
        sa.Column("model_run_id", sa.BigInteger(), nullable=True),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("answers", sa.Integer(), nullable=False),
        sa.Column("skips", sa.Integer(), nullable=False),
        sa.Column("configuration_id", sa.Integer(), nullable=True),
        sa.Column("answer", sa.SmallInteger(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("posterior", postgresql.ARRAY(sa.REAL()), nullable=False),
        sa.CheckConstraint(STATUS, name="ck_verdicts_status"),
        sa.CheckConstraint(CAUSE, name="ck_verdicts_cause"),
        sa.PrimaryKeyConstraint("challenge_id", "version", name="pk_verdicts"),
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("challenge_ids", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("versions", postgresql.ARRAY(sa.Integer()), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
    )
    op.create_index("ix_outbox_project_id_id", "outbox", ["project_id", "id"])
    op.create_table(
        "events",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("challenge_id", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "position", name="pk_events"),
    )
    op.create_table(
        "configurations",
        sa.Column("id", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("content", postgresql.JSONB(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_configurations_project_id_projects"),
        sa.PrimaryKeyConstraint("id", name="pk_configurations"),
        sa.UniqueConstraint("project_id", "hash", name="uq_configurations_project_id_hash"),
    )
    op.create_table(
        "scores",
        sa.Column("batch_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("respondent_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("session", sa.Text(), server_default="", nullable=False),
        sa.Column("answers", sa.Integer(), nullable=False),
        sa.Column("score", sa.REAL(), nullable=False),
        sa.Column("low", sa.REAL(), nullable=False),
        sa.Column("high", sa.REAL(), nullable=False),
        sa.PrimaryKeyConstraint("batch_id", "respondent_id", "session", name="pk_scores"),
    )


def downgrade() -> None:
    for table in ("scores", "configurations", "events", "outbox", "verdicts", "gold"):
        op.drop_table(table)
    op.drop_column("answers", "session")
    op.execute("DELETE FROM answers WHERE grade IS NULL")
    op.alter_column("answers", "grade", existing_type=sa.REAL(), nullable=False)
    op.drop_column("respondent_statistics", "skips")
    op.drop_column("respondent_statistics", "gold")
    op.execute("ALTER TABLE consensus DROP CONSTRAINT ck_consensus_ck_consensus_status")
    for column in ("gold", "skips", "reported", "version", "status"):
        op.drop_column("consensus", column)
    for column in (
        "configuration_id",
        "leaked_gold_odds",
        "bad_gold_odds",
        "score_answers",
        "report_step",
        "answer_cost",
        "cost_matrix",
        "max_answers",
        "min_answers",
        "target_error",
    ):
        op.drop_column("projects", column)
    op.execute("UPDATE model_runs SET cause = 'requested' WHERE cause = 'gold'")
    _checked("model_runs", "cause", "cause IN ('requested', 'growth', 'age')")
    # A key for gold alone can do nothing any more.
    op.execute(
        "UPDATE api_keys SET scopes = '{read}', revoked_at = coalesce(revoked_at, now()) WHERE scopes = '{gold}'"
    )
    op.execute("UPDATE api_keys SET scopes = array_remove(scopes, 'gold') WHERE 'gold' = ANY(scopes)")
    _checked("api_keys", "scopes", "scopes <@ '{submit,read,admin}' AND cardinality(scopes) > 0")


def _checked(table: str, name: str, condition: str) -> None:
    """Put a check in the place of the one of that name, if there is one, without reading the table under its lock.

    The first revision's checks carry their prefix twice.
    """
    constraint = f"ck_{table}_ck_{table}_{name}"
    op.execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {constraint}")
    op.execute(f"ALTER TABLE {table} ADD CONSTRAINT {constraint} CHECK ({condition}) NOT VALID")
    op.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {constraint}")
