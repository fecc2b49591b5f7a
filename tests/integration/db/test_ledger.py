"""The ledger and the backlog: what waits, by lane."""

from sqlalchemy import Engine

from db import ledger
from tests.integration.workers.crowd import accept, answer, execute, make_project


def test_a_project_without_batches_has_a_row(engine: Engine) -> None:
    make_project(engine)
    with engine.connect() as connection:
        (row,) = ledger.read(connection)
    assert (row.tenant, row.project) == ("acme", "project")
    assert {getattr(row, state) for state in ledger.STATES} == {0}


def test_what_has_vanished_is_lost(engine: Engine) -> None:
    project = make_project(engine)
    accept(engine, project, [answer("c", "r", "a"), answer("d", "r", "a")])
    execute(engine, "UPDATE batches SET state = 'graded'")
    with engine.connect() as connection:
        (row,) = ledger.read(connection)
    assert (row.accepted, row.lost) == (2, 2)


def test_the_backlog_by_lane(engine: Engine) -> None:
    project = make_project(engine)
    one = [answer("c", "r", "a")]
    old, held, done, _ = accept(engine, project, one, one, one, one)
    (later,) = accept(engine, project, one, lane="bulk")
    changes = {
        old: "due_at = now() - '1 minute'::interval",
        held: "state = 'claimed', claim_id = gen_random_uuid(), lease_until = now()",
        done: "state = 'graded'",
        later: "due_at = now() + '1 hour'::interval",
    }
    for uid, change in changes.items():
        execute(engine, f"UPDATE batches SET {change} WHERE uid = :uid", uid=uid)
    with engine.connect() as connection:
        bulk, live = ledger.backlog(connection)
    assert (bulk.lane, bulk.waiting, bulk.claimed, bulk.oldest) == ("bulk", 1, 0, 0)
    assert (live.lane, live.waiting, live.claimed) == ("live", 2, 1)
    assert live.oldest >= 60
