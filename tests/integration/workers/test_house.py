"""Housekeeping: bodies have their day, and go when nothing needs them."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta

import pytest
from sqlalchemy import Connection, Engine, text

from db import batches, payloads
from tests.integration.workers.crowd import (
    accept,
    answer,
    drain,
    execute,
    make_project,
    new_batch,
    scalar,
    store,
)
from tests.waiting import until
from workers import house, sweep
from workers.runtime import Runtime


@pytest.fixture
def days(engine: Engine) -> None:
    """No partition but the default one."""
    with engine.begin() as connection:
        for day in existing(connection):
            connection.execute(text(f"DROP TABLE payloads_{day:%Y%m%d}"))


def existing(connection: Connection) -> list[date]:
    query = text(
        "SELECT to_date(right(relname, 8), 'YYYYMMDD') FROM pg_class"
        " WHERE relname ~ '^payloads_[0-9]{8}$' ORDER BY relname"
    )
    return list(connection.execute(query).scalars())


def today(engine: Engine) -> date:
    with engine.connect() as connection:
        day: date = scalar(connection, "SELECT (now() AT TIME ZONE 'UTC')::date")
        return day


def test_one_keeps_house_at_a_time_and_no_sweep_waits(engine: Engine, runtime: Runtime, days: None) -> None:
    accept(engine, make_project(engine), [answer("c", "r", "a")])
    execute(engine, "UPDATE batches SET due_at = now() - '3 seconds'::interval")
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": house.ADVISORY_LOCK})
        house.keep(runtime)
        assert existing(connection) == []
        assert sweep.run(runtime).doors
    house.keep(runtime)
    with engine.connect() as connection:
        assert existing(connection)


def test_partitions_are_made_before_they_are_needed(engine: Engine, runtime: Runtime, days: None) -> None:
    house.keep(runtime)
    house.keep(runtime)
    ahead = [today(engine) + timedelta(days=offset) for offset in range(payloads.AHEAD + 1)]
    with engine.connect() as connection:
        assert existing(connection) == ahead
    accept(engine, make_project(engine), [answer("c", "r", "a")])
    with engine.connect() as connection:
        assert scalar(connection, "SELECT count(*) FROM payloads_default") == 0
        assert scalar(connection, "SELECT count(*) FROM payloads") == 1


def test_a_day_that_began_without_its_partition_stays_where_it_is(engine: Engine, runtime: Runtime, days: None) -> None:
    project = make_project(engine)
    accept(engine, project, [answer("c", "r", "a")])
    house.keep(runtime)
    with engine.connect() as connection:
        assert existing(connection) == [today(engine) + timedelta(days=n + 1) for n in range(payloads.AHEAD)]
    assert drain(runtime, project) == []


def old_batch(engine: Engine, project: int, age: int) -> int:
    """A batch accepted so many days ago, in a partition of its own; returns its id."""
    new = new_batch(project, [answer("c", "r", "a")])
    with engine.begin() as connection:
        store(connection, [new])
        day = scalar(connection, "SELECT (now() AT TIME ZONE 'UTC')::date") - timedelta(days=age)
        name = f"payloads_{day:%Y%m%d}"
        until = day + timedelta(days=1)
        partition = f"CREATE TABLE IF NOT EXISTS {name} PARTITION OF payloads FOR VALUES FROM ('{day}') TO ('{until}')"
        connection.execute(text(partition))
        batch = batches.get(connection, project, new.uid).id
        age_all = {"age": timedelta(days=age), "id": batch, "day": day}
        connection.execute(text("UPDATE batches SET accepted_at = accepted_at - :age WHERE id = :id"), age_all)
        connection.execute(text("UPDATE payloads SET accepted_on = :day WHERE batch_id = :id"), age_all)
    return batch


@pytest.mark.parametrize("state", ["graded", "cancelled", "waiting", "claimed", "dead", "graded with a dead answer"])
def test_a_day_is_dropped_when_it_is_old_and_nothing_needs_it(
    engine: Engine, runtime: Runtime, days: None, state: str
) -> None:
    project = make_project(engine)
    ended, other, recent = (old_batch(engine, project, age) for age in (8, 8, 7))
    execute(engine, "UPDATE batches SET state = 'graded' WHERE id IN (:ended, :recent)", ended=ended, recent=recent)
    statement = "UPDATE batches SET state = :state, claim_id = :claim, lease_until = :lease WHERE id = :id"
    claim, lease = ("00000000-0000-0000-0000-000000000000", "infinity") if state == "claimed" else (None, None)
    execute(engine, statement, state=state.split(maxsplit=1)[0], id=other, claim=claim, lease=lease)
    if "dead answer" in state:
        execute(engine, "INSERT INTO failures VALUES (:id, 0, 'dead', 'a reason')", id=other)
    house.keep(runtime)
    day = today(engine)
    with engine.connect() as connection:
        kept = {(day - there).days for there in existing(connection) if there < day}
        bodies = set(connection.execute(text("SELECT batch_id FROM payloads")).scalars())
    assert kept == {7}
    assert bodies == ({recent} if state in {"graded", "cancelled"} else {recent, other})


def test_nobody_waits_while_an_old_day_is_looked_through(engine: Engine, runtime: Runtime, days: None) -> None:
    project = make_project(engine)
    for age in (9, 8):
        old_batch(engine, project, age)
    day = today(engine) - timedelta(days=8)
    strong = "SELECT count(*) FROM pg_locks WHERE relation = 'payloads'::regclass AND mode = 'AccessExclusiveLock'"
    looking = f"SELECT count(*) FROM pg_locks WHERE relation = 'payloads_{day:%Y%m%d}'::regclass AND NOT granted"
    with ThreadPoolExecutor(1) as pool:
        with engine.begin() as held:
            held.execute(text(f"LOCK TABLE payloads_{day:%Y%m%d} IN ACCESS EXCLUSIVE MODE"))
            keeping = pool.submit(house.keep, runtime)
            with engine.connect() as connection:
                until(lambda: scalar(connection, looking), "the second old day to be looked through")
                assert scalar(connection, strong) == 0
                assert existing(connection)[-1] == today(engine) + timedelta(days=payloads.AHEAD)
            accept(engine, project, [answer("c", "r", "a")])
            assert not keeping.done()
        keeping.result()
    with engine.connect() as connection:
        assert existing(connection)[0] == today(engine)
    assert drain(runtime, project) == []


def test_what_is_done_meanwhile_is_no_hindrance(engine: Engine, runtime: Runtime, days: None) -> None:
    project = make_project(engine)
    ended, needed = (old_batch(engine, project, 8) for _ in range(2))
    with engine.begin() as connection:
        (day,) = payloads.old(connection, 7)
        found = payloads.needed(connection, day)
    assert found == [ended, needed]
    execute(engine, "UPDATE batches SET state = 'graded' WHERE id = :id", id=ended)
    for _ in range(2):  # somebody else has dropped the day
        with engine.begin() as connection:
            payloads.drop(connection, day, found)
    with engine.connect() as connection:
        assert existing(connection) == []
    house.keep(runtime)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT batch_id FROM payloads_default")).scalars().all() == [needed]
    assert drain(runtime, project) == []


def test_a_day_that_many_batches_need_stays(engine: Engine, runtime: Runtime, days: None) -> None:
    project = make_project(engine)
    old_batch(engine, project, 8)
    execute(
        engine,
        "WITH made AS (INSERT INTO batches (uid, project_id, answers, lane, idempotency_key, digest, reply)"
        " SELECT gen_random_uuid(), :project, 1, 'bulk', 'k' || n, '', '' FROM generate_series(1, :many) n"
        " RETURNING id)"
        " INSERT INTO payloads SELECT (now() AT TIME ZONE 'UTC')::date - 8, id, '', '' FROM made",
        project=project,
        many=payloads.NEEDED,
    )
    days_ago = today(engine) - timedelta(days=8)
    for moment in ("too many", "not looked at again", "an hour later"):
        house.keep(runtime)
        left = moment != "an hour later"
        with engine.connect() as connection:
            assert (days_ago in existing(connection)) == left
            assert scalar(connection, "SELECT count(*) FROM payloads") == payloads.NEEDED + left
        execute(engine, "UPDATE batches SET state = 'graded' WHERE id = (SELECT min(id) FROM batches)")
        if moment == "not looked at again":
            runtime.crowded.clear()


def test_a_day_that_takes_too_long_to_look_through_stays(
    engine: Engine, runtime: Runtime, days: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(house, "LOOK", {"statement_timeout": "50ms"})
    old_batch(engine, make_project(engine), 8)
    day = today(engine) - timedelta(days=8)
    execute(engine, "UPDATE batches SET state = 'graded'")
    with engine.begin() as held:
        held.execute(text(f"LOCK TABLE payloads_{day:%Y%m%d} IN ACCESS EXCLUSIVE MODE"))
        house.keep(runtime)
    house.keep(runtime)
    assert list(runtime.crowded) == [day]
    with engine.connect() as connection:
        assert day in existing(connection)


def test_bodies_without_a_partition_do_not_stay_for_ever(engine: Engine, runtime: Runtime, days: None) -> None:
    project = make_project(engine)
    old, needed, recent = (old_batch(engine, project, age) for age in (20, 20, 6))
    with engine.begin() as connection:
        rows = connection.execute(text("SELECT * FROM payloads")).all()
        for day in existing(connection):
            connection.execute(text(f"DROP TABLE payloads_{day:%Y%m%d}"))
        insert = text("INSERT INTO payloads VALUES (:accepted_on, :batch_id, :media_type, :body)")
        connection.execute(insert, [dict(row._mapping) for row in rows])
    execute(engine, "UPDATE batches SET state = 'graded' WHERE id <> :id", id=needed)
    house.keep(runtime)
    with engine.connect() as connection:
        left = connection.execute(text("SELECT batch_id FROM payloads_default ORDER BY 1")).scalars().all()
    assert left == [needed, recent]
    assert old not in left
