"""versions of verdicts and the feed in one table, a row for many

Revision: 0007
Revises: 0006

Stop the fleet for this one: it copies all versions and events, and the previous release cannot write them any more
(docs/decisions/0009). Else what holds for others: safe while the previous release runs.
- add columns as NULL or with a constant default; never rename; drop only what the previous release no longer reads;
- indexes on filled tables: CREATE INDEX CONCURRENTLY inside `with op.get_context().autocommit_block():`;
- constraints on filled tables: add NOT VALID, then VALIDATE in a migration of their own;
- backfill in bounded chunks outside the migration; no models are imported here; `downgrade` puts back what was.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0007"
down_revision: str | Sequence[str] | None = "0006"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

STATUS = "status IN ('open', 'settled', 'ambiguous', 'unanswerable')"
CAUSE = "cause IN ('answers', 'refit', 'gold', 'late-answer')"
STATUSES = "'{open,settled,ambiguous,unanswerable}'::text[]"
CAUSES = "'{answers,refit,gold,late-answer}'::text[]"

VERDICTS = f"""
CREATE VIEW verdicts AS
SELECT u.challenge_id, b.created_at, u.confidence, u.input_digest, b.model_run_id, u.version, u.answers, u.skips,
       b.configuration_id, nullif(u.answer, -1)::smallint AS answer, ({STATUSES})[u.status + 1] AS status,
       ({CAUSES})[u.cause + 1] AS cause,
       b.posteriors[(u.place - 1) * cardinality(b.posteriors) / cardinality(b.versions) + 1
                    : u.place * cardinality(b.posteriors) / cardinality(b.versions)] AS posterior
FROM bulletins b CROSS JOIN LATERAL unnest(
    b.challenge_ids, b.confidences, b.digests, b.versions, b.answered, b.skips, b.answers, b.statuses, b.causes
) WITH ORDINALITY AS u(
    challenge_id, confidence, input_digest, version, answers, skips, answer, status, cause, place
)
UNION ALL
SELECT challenge_id, created_at, confidence, input_digest, model_run_id, version, answers, skips, configuration_id,
       answer, status, cause, posterior
FROM retained_verdicts
"""
EVENTS = """
CREATE VIEW events AS
SELECT b.project_id, b.first + u.place - 1 AS position, u.challenge_id, u.version
FROM bulletins b CROSS JOIN LATERAL unnest(b.challenge_ids, b.versions) WITH ORDINALITY
    AS u(challenge_id, version, place)
"""

NUMBER = """
INSERT INTO events (project_id, position, challenge_id, version)
SELECT o.project_id,
       coalesce((SELECT max(position) FROM events e WHERE e.project_id = o.project_id), 0)
           + row_number() OVER (PARTITION BY o.project_id ORDER BY o.id, u.place),
       u.challenge_id, u.version
FROM outbox o CROSS JOIN LATERAL unnest(o.challenge_ids, o.versions) WITH ORDINALITY
    AS u(challenge_id, version, place)
"""
# A bulletin is of one time, run, configuration and number of classes, and has a hundred events at most.
PACK = f"""
INSERT INTO bulletins (project_id, first, created_at, model_run_id, configuration_id, challenge_ids, versions, answers,
                       confidences, statuses, causes, answered, skips, digests, posteriors, answers_before,
                       confidences_before, statuses_before)
SELECT project_id, min(position), created_at, model_run_id, configuration_id,
       array_agg(challenge_id ORDER BY position), array_agg(version ORDER BY position),
       array_agg(coalesce(answer, -1::smallint) ORDER BY position), array_agg(confidence ORDER BY position),
       array_agg((array_position({STATUSES}, status) - 1)::smallint ORDER BY position),
       array_agg((array_position({CAUSES}, cause) - 1)::smallint ORDER BY position),
       array_agg(answers ORDER BY position), array_agg(skips ORDER BY position),
       array_agg(input_digest ORDER BY position),
       string_to_array(string_agg(array_to_string(posterior, ','), ',' ORDER BY position), ',')::real[],
       array_agg(coalesce(answer_before, -1::smallint) ORDER BY position),
       array_agg(coalesce(confidence_before, 'NaN') ORDER BY position),
       array_agg((coalesce(array_position({STATUSES}, status_before), 1) - 1)::smallint ORDER BY position)
FROM (
    SELECT *, (row_number() OVER (PARTITION BY project_id, stretch ORDER BY position) - 1) / 100 AS part
    FROM (
        SELECT *, count(*) FILTER (WHERE differs) OVER (PARTITION BY project_id ORDER BY position) AS stretch
        FROM (
            SELECT e.project_id, e.position, v.*, b.answer AS answer_before, b.confidence AS confidence_before,
                   b.status AS status_before, alike.* IS DISTINCT FROM lag(alike.*) OVER (
                       PARTITION BY e.project_id ORDER BY e.position
                   ) AS differs
            FROM events e
            JOIN verdicts v ON v.challenge_id = e.challenge_id AND v.version = e.version
            LEFT JOIN verdicts b ON b.challenge_id = e.challenge_id AND b.version = e.version - 1
            CROSS JOIN LATERAL (
                SELECT v.created_at, v.model_run_id, v.configuration_id, cardinality(v.posterior) AS classes
            ) alike
        ) compared
    ) stretches
) parts
GROUP BY project_id, stretch, part, created_at, model_run_id, configuration_id
"""
RETAIN = """
INSERT INTO retained_verdicts (challenge_id, created_at, confidence, input_digest, model_run_id, version, answers,
                               skips, configuration_id, answer, status, cause, posterior)
SELECT DISTINCT ON (challenge_id)
       challenge_id, created_at, confidence, input_digest, model_run_id, version, answers, skips, configuration_id,
       answer, status, cause, posterior
FROM verdicts v
WHERE NOT EXISTS (SELECT 1 FROM events e WHERE e.challenge_id = v.challenge_id AND e.version = v.version)
ORDER BY challenge_id, version DESC
"""
PLACE = """
UPDATE consensus c SET positions = p.positions
FROM (
    SELECT c.challenge_id, array_agg(coalesce(e.position, 0) ORDER BY v.version) AS positions
    FROM consensus c CROSS JOIN LATERAL generate_series(1, c.version) AS v(version)
    LEFT JOIN events e ON e.challenge_id = c.challenge_id AND e.version = v.version
    GROUP BY c.challenge_id
) p WHERE p.challenge_id = c.challenge_id
"""
COUNT = """
INSERT INTO turns (project_id, number, events) SELECT project_id, 0, max(position) FROM events GROUP BY project_id
ON CONFLICT (project_id) DO UPDATE SET events = excluded.events
"""


def upgrade() -> None:
    op.create_table(
        "bulletins",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("first", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("model_run_id", sa.BigInteger(), nullable=True),
        sa.Column("configuration_id", sa.Integer(), nullable=True),
        sa.Column("challenge_ids", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("versions", postgresql.ARRAY(sa.Integer()), nullable=False),
        sa.Column("answers", postgresql.ARRAY(sa.SmallInteger()), nullable=False),
        sa.Column("confidences", postgresql.ARRAY(sa.Double()), nullable=False),
        sa.Column("statuses", postgresql.ARRAY(sa.SmallInteger()), nullable=False),
        sa.Column("causes", postgresql.ARRAY(sa.SmallInteger()), nullable=False),
        sa.Column("answered", postgresql.ARRAY(sa.Integer()), nullable=False),
        sa.Column("skips", postgresql.ARRAY(sa.Integer()), nullable=False),
        sa.Column("digests", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("posteriors", postgresql.ARRAY(sa.REAL()), nullable=False),
        sa.Column("answers_before", postgresql.ARRAY(sa.SmallInteger()), nullable=False),
        sa.Column("confidences_before", postgresql.ARRAY(sa.Double()), nullable=False),
        sa.Column("statuses_before", postgresql.ARRAY(sa.SmallInteger()), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "first", name="pk_bulletins"),
        postgresql_with={"toast_tuple_target": 8160},
    )
    _table_of_verdicts("retained_verdicts", "challenge_id", now=False)
    op.add_column("turns", sa.Column("events", sa.BigInteger(), server_default=sa.text("0"), nullable=False))
    op.add_column(
        "consensus",
        sa.Column("positions", postgresql.ARRAY(sa.BigInteger()), server_default=sa.text("'{}'"), nullable=False),
    )
    for statement in (NUMBER, PACK, RETAIN, PLACE, COUNT):
        op.execute(statement)
    for table in ("events", "outbox", "verdicts"):
        op.drop_table(table)
    op.execute(VERDICTS)
    op.execute(EVENTS)


def downgrade() -> None:
    op.execute("ALTER VIEW verdicts RENAME TO unpacked_verdicts")
    op.execute("ALTER VIEW events RENAME TO unpacked_events")
    _table_of_verdicts("verdicts", "challenge_id", "version", now=True)
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
    op.execute("INSERT INTO verdicts SELECT * FROM unpacked_verdicts")  # the view has the table's columns, in its order
    op.execute("INSERT INTO events SELECT * FROM unpacked_events")
    op.execute("DROP VIEW unpacked_verdicts")
    op.execute("DROP VIEW unpacked_events")
    op.drop_column("consensus", "positions")
    op.drop_column("turns", "events")
    op.drop_table("retained_verdicts")
    op.drop_table("bulletins")


def _table_of_verdicts(name: str, *key: str, now: bool) -> None:
    op.create_table(
        name,
        sa.Column("challenge_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("now()") if now else None, nullable=False
        ),
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
        sa.CheckConstraint(STATUS, name=f"ck_{name}_status"),
        sa.CheckConstraint(CAUSE, name=f"ck_{name}_cause"),
        sa.PrimaryKeyConstraint(*key, name=f"pk_{name}"),
    )
