"""first tables

Revision: 0001
Revises:

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

revision: str = "0001"
down_revision: str | Sequence[str] | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# Every accepted answer is in one of six states; `lost` is what is in none. Graded and superseded are counted on the
# rows themselves, never taken from a counter that the writer of the rows also wrote.
LEDGER = """
CREATE VIEW ledger AS
WITH batch AS (
    SELECT project_id,
           sum(answers) AS accepted,
           sum(answers - rejected - done) FILTER (WHERE state IN ('waiting', 'claimed')) AS waiting,
           sum(answers - rejected - done) FILTER (WHERE state = 'dead') AS dead,
           sum(answers - rejected - done) FILTER (WHERE state = 'cancelled') AS cancelled
    FROM batches GROUP BY project_id
), answer AS (
    SELECT b.project_id,
           count(*) FILTER (WHERE a.counted) AS graded,
           count(*) FILTER (WHERE NOT a.counted) AS superseded
    FROM answers a JOIN batches b ON b.id = a.batch_id GROUP BY b.project_id
), failure AS (
    SELECT b.project_id,
           count(*) FILTER (WHERE f.state = 'rejected') AS rejected,
           count(*) FILTER (WHERE f.state = 'dead') AS dead
    FROM failures f JOIN batches b ON b.id = f.batch_id GROUP BY b.project_id
), states AS (
    SELECT p.id AS project_id,
           coalesce(batch.accepted, 0)::bigint AS accepted,
           coalesce(batch.waiting, 0)::bigint AS waiting,
           coalesce(answer.graded, 0)::bigint AS graded,
           coalesce(answer.superseded, 0)::bigint AS superseded,
           coalesce(failure.rejected, 0)::bigint AS rejected,
           (coalesce(batch.dead, 0) + coalesce(failure.dead, 0))::bigint AS dead,
           coalesce(batch.cancelled, 0)::bigint AS cancelled
    FROM projects p
    LEFT JOIN batch ON batch.project_id = p.id
    LEFT JOIN answer ON answer.project_id = p.id
    LEFT JOIN failure ON failure.project_id = p.id
)
SELECT *, accepted - waiting - graded - superseded - rejected - dead - cancelled AS lost FROM states
"""


def upgrade() -> None:
    op.create_table(
        "answers",
        sa.Column("batch_id", sa.BigInteger(), nullable=False),
        sa.Column("challenge_id", sa.BigInteger(), nullable=False),
        sa.Column("respondent_id", sa.BigInteger(), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("duration_ms", sa.Integer(), server_default=sa.text("-1"), nullable=False),
        sa.Column("grade", sa.REAL(), nullable=False),
        sa.Column("choice", sa.SmallInteger(), nullable=False),
        sa.Column("counted", sa.Boolean(), nullable=False),
    )
    op.create_index("ix_answers_batch_id", "answers", ["batch_id"], unique=False)
    op.create_index("ix_answers_challenge_id", "answers", ["challenge_id"], unique=False)
    op.create_table(
        "payloads",
        sa.Column("accepted_on", sa.Date(), nullable=False),
        sa.Column("batch_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("accepted_on", "batch_id", name="pk_payloads"),
        postgresql_partition_by="RANGE (accepted_on)",
    )
    op.create_table(
        "tenants",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tenants"),
        sa.UniqueConstraint("name", name="uq_tenants_name"),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("scopes <@ '{submit,read,admin}' AND cardinality(scopes) > 0", name="ck_api_keys_scopes"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_api_keys_tenant_id_tenants"),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
        sa.UniqueConstraint("digest", name="uq_api_keys_digest"),
    )
    op.create_index("ix_api_keys_tenant_id", "api_keys", ["tenant_id"], unique=False)
    op.create_table(
        "projects",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(collation="C"), nullable=False),
        sa.Column("kind", sa.Text(), server_default="choice", nullable=False),
        sa.Column("classes_open", sa.Boolean(), nullable=False),
        sa.Column("max_classes", sa.SmallInteger(), nullable=False),
        sa.Column("options_shared", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("form", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("repeats", sa.Text(), server_default="first", nullable=False),
        sa.Column("pass_threshold", sa.Double(), nullable=False),
        sa.Column("fail_threshold", sa.Double(), nullable=False),
        sa.Column("current_run_id", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("form IN ('full', 'coin')", name="ck_projects_form"),
        sa.CheckConstraint("kind IN ('choice')", name="ck_projects_kind"),
        sa.CheckConstraint("repeats IN ('first', 'last', 'all')", name="ck_projects_repeats"),
        sa.CheckConstraint(
            "0 <= fail_threshold AND fail_threshold <= pass_threshold AND pass_threshold <= 1",
            name="ck_projects_thresholds",
        ),
        sa.CheckConstraint("max_classes BETWEEN 2 AND 32767", name="ck_projects_max_classes"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_projects_tenant_id_tenants"),
        sa.PrimaryKeyConstraint("id", name="pk_projects"),
        sa.UniqueConstraint("tenant_id", "name", name="uq_projects_tenant_id_name"),
    )
    op.create_table(
        "batches",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("uid", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("claim_id", sa.Uuid(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("accepted_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answers", sa.Integer(), nullable=False),
        sa.Column("size", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("rejected", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("done", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("attempts", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="waiting", nullable=False),
        sa.Column("idempotency_key", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("reply", sa.LargeBinary(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "(state = 'claimed') = (claim_id IS NOT NULL AND lease_until IS NOT NULL)", name="ck_batches_claim"
        ),
        sa.CheckConstraint("lane IN ('live', 'bulk')", name="ck_batches_lane"),
        sa.CheckConstraint("state IN ('waiting', 'claimed', 'graded', 'dead', 'cancelled')", name="ck_batches_state"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_batches_project_id_projects"),
        sa.PrimaryKeyConstraint("id", name="pk_batches"),
        sa.UniqueConstraint("project_id", "idempotency_key", name="uq_batches_project_id_idempotency_key"),
        sa.UniqueConstraint("uid", name="uq_batches_uid"),
    )
    op.create_index(
        "ix_batches_claimed", "batches", ["lease_until"], unique=False, postgresql_where=sa.text("state = 'claimed'")
    )
    op.create_index(
        "ix_batches_graded",
        "batches",
        ["project_id", "finished_at"],
        unique=False,
        postgresql_where=sa.text("state = 'graded'"),
    )
    op.create_index("ix_batches_project_id_id", "batches", ["project_id", "id"], unique=False)
    op.create_index(
        "ix_batches_waiting",
        "batches",
        ["project_id", "lane", "due_at"],
        unique=False,
        postgresql_include=["size"],
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_table(
        "challenges",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_challenges"),
        sa.UniqueConstraint("project_id", "key", name="uq_challenges_project_id_key"),
    )
    op.create_table(
        "model_runs",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("uid", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), server_default="waiting", nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("attempts", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("claim_id", sa.Uuid(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("requested_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("model_version", sa.Text(), nullable=True),
        sa.Column("build", sa.Text(), nullable=True),
        sa.Column("input_digest", sa.Text(), nullable=True),
        sa.Column("answers", sa.BigInteger(), nullable=True),
        sa.Column("challenges", sa.Integer(), nullable=True),
        sa.Column("respondents", sa.Integer(), nullable=True),
        sa.Column("iterations", sa.Integer(), nullable=True),
        sa.Column("converged", sa.Boolean(), nullable=True),
        sa.Column("prior", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("metrics", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.CheckConstraint("cause IN ('requested', 'growth', 'age')", name="ck_model_runs_cause"),
        sa.CheckConstraint("state IN ('waiting', 'running', 'done', 'failed')", name="ck_model_runs_state"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_model_runs_project_id_projects"),
        sa.PrimaryKeyConstraint("id", name="pk_model_runs"),
        sa.UniqueConstraint("uid", name="uq_model_runs_uid"),
    )
    op.create_index("ix_model_runs_project_id_id", "model_runs", ["project_id", "id"], unique=False)
    op.create_index(
        "uq_model_runs_running",
        "model_runs",
        ["project_id"],
        unique=True,
        postgresql_where=sa.text("state = 'running'"),
    )
    op.create_index(
        "uq_model_runs_waiting",
        "model_runs",
        ["project_id"],
        unique=True,
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_table(
        "project_classes",
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("code", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_project_classes_project_id_projects"),
        sa.PrimaryKeyConstraint("project_id", "code", name="pk_project_classes"),
        sa.UniqueConstraint("project_id", "key", name="uq_project_classes_project_id_key"),
    )
    op.create_table(
        "respondents",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_respondents"),
        sa.UniqueConstraint("project_id", "key", name="uq_respondents_project_id_key"),
    )
    op.create_table(
        "consensus",
        sa.Column("challenge_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("model_run_id", sa.BigInteger(), nullable=True),
        sa.Column("confidence", sa.Double(), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("answers", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("answer", sa.SmallInteger(), nullable=True),
        sa.Column("final", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("posterior", postgresql.ARRAY(sa.Double()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("raw", postgresql.ARRAY(sa.Double()), server_default=sa.text("'{}'"), nullable=False),
        sa.PrimaryKeyConstraint("challenge_id", name="pk_consensus"),
        postgresql_with={"fillfactor": 70},
    )
    op.create_index(
        "ix_consensus_provisional",
        "consensus",
        ["project_id", "challenge_id"],
        unique=False,
        postgresql_where=sa.text("NOT final"),
    )
    op.create_table(
        "failures",
        sa.Column("batch_id", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.CheckConstraint("state IN ('rejected', 'dead')", name="ck_failures_state"),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name="fk_failures_batch_id_batches"),
        sa.PrimaryKeyConstraint("batch_id", "position", name="pk_failures"),
    )
    op.create_table(
        "respondent_statistics",
        sa.Column("respondent_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("answers", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("accuracy", sa.Double(), nullable=True),
        sa.Column("low", sa.Double(), nullable=True),
        sa.Column("high", sa.Double(), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("counts", postgresql.ARRAY(sa.Double()), server_default=sa.text("'{}'"), nullable=False),
        sa.PrimaryKeyConstraint("respondent_id", name="pk_respondent_statistics"),
        postgresql_with={"fillfactor": 70},
    )

    op.create_foreign_key("fk_projects_current_run_id_model_runs", "projects", "model_runs", ["current_run_id"], ["id"])
    # Where rows go whose day has no partition yet; the sweep keeps some days ahead, so it stays empty.
    op.execute("CREATE TABLE payloads_default PARTITION OF payloads DEFAULT")
    op.execute(LEDGER)


def downgrade() -> None:
    op.execute("DROP VIEW ledger")
    op.drop_constraint("fk_projects_current_run_id_model_runs", "projects")
    op.drop_table("respondent_statistics")
    op.drop_table("failures")
    op.drop_table("consensus")
    op.drop_table("respondents")
    op.drop_table("project_classes")
    op.drop_table("model_runs")
    op.drop_table("challenges")
    op.drop_table("batches")
    op.drop_table("projects")
    op.drop_table("api_keys")
    op.drop_table("tenants")
    op.drop_table("payloads")
    op.drop_table("answers")
