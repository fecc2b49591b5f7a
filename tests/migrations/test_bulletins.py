"""0007 keeps every version and every event, and gives those that have no place yet the next ones."""

from collections.abc import Sequence
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, text

FILL = """
INSERT INTO tenants (name) VALUES ('acme');
INSERT INTO projects (tenant_id, name, classes_open, max_classes, form, model, pass_threshold, fail_threshold)
    SELECT t.id, p.name, false, 2, 'full', 'dawid-skene', 0.7, 0.3 FROM tenants t, (VALUES ('one'), ('two')) p(name);
INSERT INTO challenges (project_id, key) SELECT p.id, 'c' || n FROM projects p, generate_series(1, 150) n ORDER BY 1, n;
INSERT INTO consensus (challenge_id, project_id, version) SELECT id, project_id, 3 FROM challenges;
INSERT INTO verdicts (challenge_id, version, created_at, answer, posterior, confidence, status, cause, answers, skips,
                      input_digest, configuration_id, model_run_id)
    SELECT id, v, timestamptz '2026-01-01' + v * interval '1 day', CASE WHEN v < 3 THEN v - 1 END,
           CASE WHEN v < 3 THEN '{0.75,0.25}'::real[] ELSE '{0.5,0.3,0.2}' END, v / 7.0,
           ('{open,settled,unanswerable}'::text[])[v], ('{answers,late-answer,gold}'::text[])[v], v, 3 - v, id * v,
           CASE WHEN id % 20 > 9 THEN 5 END, nullif(v, 1)
    FROM challenges, generate_series(1, 3) v;
-- The first 150 versions of one project were dropped long ago; the last ones of both wait for their places.
INSERT INTO events (project_id, position, challenge_id, version)
    SELECT project_id, (row_number() OVER (PARTITION BY project_id ORDER BY v, id)), id, v
    FROM challenges, generate_series(1, 2) v;
INSERT INTO outbox (project_id, challenge_ids, versions)
    SELECT project_id, array_agg(id ORDER BY id DESC), array_agg(3) FROM challenges GROUP BY project_id, id % 2
    ORDER BY id % 2;
DELETE FROM events WHERE position <= 150 AND project_id = (SELECT min(id) FROM projects);
INSERT INTO turns (project_id, number) SELECT min(id), 9 FROM projects;
"""
VERDICTS = "SELECT * FROM verdicts ORDER BY challenge_id, version"
EVENTS = "SELECT * FROM events ORDER BY project_id, position"
BEFORE = """
SELECT u.*, coalesce(b.answer, -1), coalesce(b.confidence, 'NaN'), coalesce(b.status, 'open')
FROM (
    SELECT unnest(challenge_ids) AS id, unnest(versions) AS version, unnest(answers_before) AS answer,
           unnest(confidences_before) AS confidence,
           ('{open,settled,ambiguous,unanswerable}'::text[])[unnest(statuses_before) + 1] AS status
    FROM bulletins
) u LEFT JOIN verdicts b ON b.challenge_id = u.id AND b.version = u.version - 1
"""


def test_versions_and_events_are_the_same_in_both_forms(alembic: Config, engine: Engine) -> None:
    command.upgrade(alembic, "0006")
    with engine.begin() as connection:
        connection.execute(text(FILL))
    verdicts, events = _rows(engine, VERDICTS), _rows(engine, EVENTS)
    assert (len(verdicts), len(events)) == (900, 450)

    command.upgrade(alembic, "0007")
    assert _rows(engine, VERDICTS) == verdicts
    numbered = _rows(engine, EVENTS)
    assert [row for row in numbered if row.version < 3] == events
    one, two = sorted({row.project_id for row in numbered})
    for project, first in ((one, 151), (two, 1)):
        mine = [row for row in numbered if row.project_id == project]
        assert [row.position for row in mine] == list(range(first, 451))
        ids = sorted({row.challenge_id for row in mine})
        assert [row.challenge_id for row in mine[-150:]] == [
            *(id_ for id_ in reversed(ids) if id_ % 2 == 0),
            *(id_ for id_ in reversed(ids) if id_ % 2),
        ]
    assert _rows(engine, "SELECT project_id, events FROM turns ORDER BY 1") == [(one, 450), (two, 450)]
    told = {(row.challenge_id, row.version): row.position for row in numbered}
    for row in _rows(engine, "SELECT challenge_id, positions FROM consensus"):
        assert row.positions == [told.get((row.challenge_id, version), 0) for version in (1, 2, 3)]
    assert [row.challenge_id for row in _rows(engine, "SELECT * FROM retained_verdicts ORDER BY 1")] == [
        row.challenge_id for row in verdicts if row.version == 1
    ][:150]
    for row in _rows(engine, BEFORE):
        assert str(row[2:5]) == str(row[5:8])
    assert _rows(engine, "SELECT max(cardinality(versions)) FROM bulletins")[0][0] <= 100

    command.downgrade(alembic, "0006")
    assert _rows(engine, VERDICTS) == verdicts
    assert _rows(engine, EVENTS) == numbered


def _rows(engine: Engine, query: str) -> Sequence[Any]:
    with engine.connect() as connection:
        return connection.execute(text(query)).all()
