"""Rows for the tables as each revision leaves them: what an installation at that revision may hold.

A new revision gets an entry of its own, in SQL that stands for itself: models change, this must not.
"""

ROWS: dict[str, str] = {
    "0001": """
        INSERT INTO tenants (name) VALUES ('acme');
        INSERT INTO api_keys (tenant_id, name, prefix, digest, scopes)
            SELECT id, 'first', 'ts_abcdef', '\\x01', '{submit,read}' FROM tenants;
        INSERT INTO projects
            (tenant_id, name, classes_open, max_classes, form, model, pass_threshold, fail_threshold)
            SELECT id, 'birds', false, 2, 'full', 'dawid-skene', 0.7, 0.3 FROM tenants;
        INSERT INTO project_classes (project_id, code, key) SELECT id, 0, 'duck' FROM projects;
        INSERT INTO project_classes (project_id, code, key) SELECT id, 1, 'goose' FROM projects;
        INSERT INTO batches (uid, project_id, answers, rejected, lane, state, idempotency_key, digest, reply)
            SELECT gen_random_uuid(), id, 2, 1, 'live', 'graded', 'k', '\\x02', '{}' FROM projects;
        INSERT INTO payloads (accepted_on, batch_id, media_type, body)
            SELECT current_date, id, 'application/json', '{}' FROM batches;
        INSERT INTO failures (batch_id, position, state, reason) SELECT id, 1, 'rejected', 'empty' FROM batches;
        INSERT INTO challenges (project_id, key) SELECT id, 'c1' FROM projects;
        INSERT INTO respondents (project_id, key) SELECT id, 'r1' FROM projects;
        INSERT INTO model_runs (project_id, state, cause) SELECT id, 'done', 'requested' FROM projects;
        UPDATE projects SET current_run_id = (SELECT id FROM model_runs);
        INSERT INTO answers (batch_id, challenge_id, respondent_id, answered_at, position, grade, choice, counted)
            SELECT b.id, c.id, r.id, now(), 0, 0.9, 0, true FROM batches b, challenges c, respondents r;
        INSERT INTO consensus (challenge_id, project_id, model_run_id, confidence, answers, answer, posterior, raw)
            SELECT c.id, c.project_id, m.id, 0.8, 1, 0, '{0.8,0.2}', '{0.9,0.1}' FROM challenges c, model_runs m;
        INSERT INTO respondent_statistics (respondent_id, project_id, answers, accuracy, counts)
            SELECT id, project_id, 1, 0.8, '{0.9,0.1,0,0}' FROM respondents;
    """,
    "0002": """
        INSERT INTO gold (challenge_id, project_id, answer) SELECT id, project_id, 0 FROM challenges;
        UPDATE consensus SET status = 'settled', version = 2, reported = 0.9, gold = 0;
        UPDATE respondent_statistics SET gold = '{0.1,-0.1,0,0}';
        INSERT INTO configurations (project_id, hash, content) SELECT id, 'abc', '{}' FROM projects;
        UPDATE projects SET configuration_id = (SELECT id FROM configurations);
        INSERT INTO verdicts (challenge_id, version, answer, posterior, confidence, status, cause, answers, skips,
                              input_digest, configuration_id, model_run_id)
            SELECT c.challenge_id, v, 0, '{0.9,0.1}', 0.9, 'settled', 'answers', 1, 0, -1, p.configuration_id,
                   c.model_run_id FROM consensus c, projects p, generate_series(1, 2) v;
        INSERT INTO outbox (project_id, challenge_ids, versions)
            SELECT project_id, array[challenge_id], '{2}' FROM consensus;
        INSERT INTO events (project_id, position, challenge_id, version)
            SELECT project_id, 1, challenge_id, 1 FROM consensus;
        INSERT INTO scores (batch_id, respondent_id, answers, score, low, high)
            SELECT b.id, r.id, 1, 0.8, 0.5, 0.9 FROM batches b, respondents r;
        INSERT INTO api_keys (tenant_id, name, prefix, digest, scopes)
            SELECT id, 'gold', 'ts_ghijkl', '\\x03', '{gold}' FROM tenants;
    """,
    "0003": """
        INSERT INTO populations (project_id, model, model_version, model_run_id, answers, sample, prior)
            SELECT id, model, '1', current_run_id, 2, 1, '{"classes": 2, "tensors": "{}"}' FROM projects;
    """,
    "0004": """
        INSERT INTO gold_holders (respondent_id, project_id, odds) SELECT id, project_id, 12.5 FROM respondents;
    """,
    "0005": """
        INSERT INTO groups (project_id, name, odds) SELECT id, 'farm', 3.5 FROM projects;
        INSERT INTO group_members (respondent_id, group_id) SELECT r.id, g.id FROM respondents r, groups g;
    """,
    "0006": """
        INSERT INTO moves (project_id, number, challenge_ids, respondent_ids)
            SELECT p.id, 1, array[c.id], array[r.id] FROM projects p, challenges c, respondents r;
    """,
    "0007": """
        INSERT INTO challenges (project_id, key) SELECT id, 'c2' FROM projects;
        INSERT INTO retained_verdicts (challenge_id, created_at, version, answer, posterior, confidence, status, cause,
                                       answers, skips, input_digest)
            SELECT id, now(), 3, 1, '{0.2,0.8}', 0.8, 'open', 'refit', 2, 1, 7 FROM challenges WHERE key = 'c2';
    """,
    "0008": "SELECT 1",  # changes how Postgres keeps what is there, and stores nothing
    "0009": "UPDATE turns SET number = number + 1, paid = number + 1",
    "0010": "SELECT 1",  # likewise
    "0011": "SELECT 1",  # likewise
    "0012": "SELECT 1",  # likewise
}
