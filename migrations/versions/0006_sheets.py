"""answers by batch and by challenge, turns

Revision: 0006
Revises: 0005

Stop the fleet for this one: it copies all answers, and the previous release cannot write them any more
(docs/decisions/0008). Else what holds for others: safe while the previous release runs.
- add columns as NULL or with a constant default; never rename; drop only what the previous release no longer reads;
- indexes on filled tables: CREATE INDEX CONCURRENTLY inside `with op.get_context().autocommit_block():`;
- constraints on filled tables: add NOT VALID, then VALIDATE in a migration of their own;
- backfill in bounded chunks outside the migration; no models are imported here; `downgrade` puts back what was.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0006"
down_revision: str | Sequence[str] | None = "0005"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

ANSWERS = """
CREATE VIEW answers AS
SELECT s.batch_id, coalesce(u.position, s.first + u.place::int - 1) AS position, u.challenge_id, u.respondent_id,
       u.choice, nullif(u.grade, 'NaN') AS grade,
       CASE WHEN u.answered_at IS NULL THEN s.accepted_at
            ELSE timestamptz 'epoch' + u.answered_at * interval '1 microsecond' END AS answered_at,
       coalesce(u.duration_ms, -1) AS duration_ms, coalesce(u.counted, true) AS counted,
       coalesce(u.session, '') AS session
FROM sheets s CROSS JOIN LATERAL unnest(
    s.positions, s.challenge_ids, s.respondent_ids, s.choices, s.grades, s.answered_at, s.durations, s.counted,
    s.sessions
) WITH ORDINALITY AS u(
    position, challenge_id, respondent_id, choice, grade, answered_at, duration_ms, counted, session, place
)
"""
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
    {answers}
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
BY_SHEET = """SELECT b.project_id,
           sum(cardinality(s.challenge_ids) - coalesce(cardinality(array_positions(s.counted, false)), 0)) AS graded,
           sum(coalesce(cardinality(array_positions(s.counted, false)), 0)) AS superseded
    FROM sheets s JOIN batches b ON b.id = s.batch_id GROUP BY b.project_id"""
BY_ROW = """SELECT b.project_id,
           count(*) FILTER (WHERE a.counted) AS graded,
           count(*) FILTER (WHERE NOT a.counted) AS superseded
    FROM answers a JOIN batches b ON b.id = a.batch_id GROUP BY b.project_id"""

# Of `db.answers.RECORD`, little-endian; `int8send` and its kin give network order.
RECORD = """
    reverse(int8send(respondent_id)) || reverse(int8send(batch_id))
    || reverse(int8send((extract(epoch FROM answered_at) * 1000000)::bigint)) || reverse(int4send(position))
    || reverse(int2send(choice)) || CASE WHEN counted THEN '\\x0100'::bytea ELSE '\\x0000'::bytea END
"""
_REVERSE = """
CREATE FUNCTION pg_temp.reverse(bytes bytea) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$
    SELECT string_agg(substring(bytes FROM place FOR 1), ''::bytea ORDER BY place DESC)
    FROM generate_series(1, octet_length(bytes)) AS place
$$
"""


def upgrade() -> None:
    op.create_table(
        "turns",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", name="pk_turns"),
        postgresql_with={"fillfactor": 10},
    )
    op.execute("INSERT INTO turns (project_id, number) SELECT id, 0 FROM projects")
    op.create_table(
        "moves",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("challenge_ids", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("respondent_ids", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "number", name="pk_moves"),
    )
    for column in ("challenge_ids", "respondent_ids"):  # gone in seconds: not worth compressing
        op.execute(f"ALTER TABLE moves ALTER COLUMN {column} SET STORAGE EXTERNAL")

    op.create_table(
        "sheets",
        sa.Column("batch_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("first", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("challenge_ids", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("respondent_ids", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("choices", postgresql.ARRAY(sa.SmallInteger()), nullable=False),
        sa.Column("grades", postgresql.ARRAY(sa.REAL()), nullable=False),
        sa.Column("positions", postgresql.ARRAY(sa.Integer()), nullable=True),
        sa.Column("answered_at", postgresql.ARRAY(sa.BigInteger()), nullable=True),
        sa.Column("durations", postgresql.ARRAY(sa.Integer()), nullable=True),
        sa.Column("counted", postgresql.ARRAY(sa.Boolean()), nullable=True),
        sa.Column("sessions", postgresql.ARRAY(sa.Text()), nullable=True),
        sa.PrimaryKeyConstraint("batch_id", "first", name="pk_sheets"),
        postgresql_with={"toast_tuple_target": 8160},
    )
    reserved = sa.text("decode(repeat('00', 256), 'hex')")
    op.add_column("consensus", sa.Column("packed", sa.LargeBinary(), server_default=reserved, nullable=False))
    op.execute("ALTER TABLE consensus SET (fillfactor = 60)")
    op.execute("""
        INSERT INTO sheets (batch_id, accepted_at, first, challenge_ids, respondent_ids, choices, grades, positions,
                            answered_at, durations, counted, sessions)
        SELECT a.batch_id, min(b.accepted_at), min(a.position), array_agg(a.challenge_id ORDER BY a.position),
               array_agg(a.respondent_id ORDER BY a.position), array_agg(a.choice ORDER BY a.position),
               array_agg(coalesce(a.grade, 'NaN') ORDER BY a.position), array_agg(a.position ORDER BY a.position),
               array_agg((extract(epoch FROM a.answered_at) * 1000000)::bigint ORDER BY a.position),
               array_agg(a.duration_ms ORDER BY a.position), array_agg(a.counted ORDER BY a.position),
               array_agg(a.session ORDER BY a.position)
        FROM answers a JOIN batches b ON b.id = a.batch_id GROUP BY a.batch_id
    """)
    op.execute(_REVERSE)
    packed = RECORD.replace("reverse(", "pg_temp.reverse(")
    op.execute(f"""
        UPDATE consensus c SET packed = p.packed
        FROM (SELECT challenge_id, string_agg({packed}, ''::bytea) AS packed FROM answers GROUP BY challenge_id) p
        WHERE p.challenge_id = c.challenge_id
    """)
    op.execute("DROP FUNCTION pg_temp.reverse(bytea)")
    op.execute("DROP VIEW ledger")
    op.drop_table("answers")
    op.execute(ANSWERS)
    op.execute(LEDGER.format(answers=BY_SHEET))


def downgrade() -> None:
    op.execute("DROP VIEW ledger")
    op.execute("ALTER VIEW answers RENAME TO unpacked")
    op.create_table(
        "answers",
        sa.Column("batch_id", sa.BigInteger(), nullable=False),
        sa.Column("challenge_id", sa.BigInteger(), nullable=False),
        sa.Column("respondent_id", sa.BigInteger(), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("duration_ms", sa.Integer(), server_default="-1", nullable=False),
        sa.Column("grade", sa.REAL(), nullable=True),
        sa.Column("choice", sa.SmallInteger(), nullable=False),
        sa.Column("counted", sa.Boolean(), nullable=False),
        sa.Column("session", sa.Text(), server_default="", nullable=False),
    )
    names = "batch_id, challenge_id, respondent_id, answered_at, position, duration_ms, grade, choice, counted, session"
    op.execute(f"INSERT INTO answers ({names}) SELECT {names} FROM unpacked")
    op.create_index("ix_answers_challenge_id", "answers", ["challenge_id"])
    op.create_index("ix_answers_batch_id", "answers", ["batch_id"])
    op.execute("DROP VIEW unpacked")
    op.execute(LEDGER.format(answers=BY_ROW))
    op.execute("ALTER TABLE consensus SET (fillfactor = 70)")
    op.drop_column("consensus", "packed")
    op.drop_table("sheets")
    op.drop_table("moves")
    op.drop_table("turns")
