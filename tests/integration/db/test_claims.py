"""Claims: each batch to one worker at a time, under a lease by Postgres's clock."""

import uuid
from collections.abc import Callable
from functools import partial

import pytest
from sqlalchemy import Connection, Engine, text

from db import bodies, claims, failures
from db.claims import Claim
from db.errors import StaleClaimError
from db.writes import Writes
from tests.integration.workers.crowd import accept, answer, execute, make_project, scalar


@pytest.fixture
def project(engine: Engine) -> int:
    return make_project(engine)


def fill(engine: Engine, project: int, *sizes: int, lane: str = "live") -> list[int]:
    """Accept batches of these sizes; returns their ids."""
    for size in sizes:
        accept(engine, project, [answer(f"c{n}", "r", "a") for n in range(size)], lane=lane)
    with engine.connect() as connection:
        return list(connection.execute(text("SELECT id FROM batches ORDER BY id")).scalars())


def claim(connection: Connection, project: int, *, batches: int = 64, answers: int = 1000, lease: float = 30) -> Claim:
    """By the worker that has all claims."""
    mine = connection.scalars(text("SELECT DISTINCT claim_id FROM batches WHERE claim_id IS NOT NULL")).all()
    found = claims.claim(connection, project, "live", batches=batches, answers=answers, lease=lease, mine=mine)
    assert found is not None
    return found


def claim_now(engine: Engine, project: int, *, batches: int = 64, answers: int = 1000, lease: float = 30) -> Claim:
    with engine.begin() as connection:
        return claim(connection, project, batches=batches, answers=answers, lease=lease)


def ids(claimed: Claim) -> list[int]:
    return [batch.id for batch in claimed.batches]


def row(engine: Engine, batch_id: int) -> tuple[str, int, uuid.UUID | None, str | None]:
    with engine.connect() as connection:
        query = text("SELECT state, attempts, claim_id, error FROM batches WHERE id = :id")
        found = connection.execute(query, {"id": batch_id}).one()
        return found.state, found.attempts, found.claim_id, found.error


def end_lease(engine: Engine) -> None:
    execute(engine, "UPDATE batches SET lease_until = now() WHERE state = 'claimed'")


def test_claims_at_the_same_time_never_share_a_batch(engine: Engine, project: int) -> None:
    everything = fill(engine, project, 1, 1, 1, 1)
    with engine.begin() as one, engine.begin() as two:
        first = claim(one, project, batches=2)
        second = claim(two, project, batches=64)
        assert claims.claim(two, project, "live", batches=64, answers=9, lease=30) is None
    assert ids(first) == everything[:2]
    assert ids(second) == everything[2:]


def test_a_claim_takes_the_oldest_and_no_more_than_it_may(engine: Engine, project: int) -> None:
    everything = fill(engine, project, 5, 5, 5, 5)
    assert ids(claim_now(engine, project, answers=10)) == everything[:2]
    assert ids(claim_now(engine, project, batches=1)) == everything[2:3]


def test_a_batch_that_is_too_large_is_taken_alone(engine: Engine, project: int) -> None:
    everything = fill(engine, project, 50, 1)
    assert ids(claim_now(engine, project, answers=10)) == everything[:1]


def test_a_claim_brings_the_bodies(engine: Engine, project: int) -> None:
    fill(engine, project, 3, 300)
    for batch, answers in zip(claim_now(engine, project).batches, (3, 300), strict=True):
        assert (batch.media_type, batch.attempts, batch.done, batch.rejected) == ("application/json", 1, 0, 0)
        assert batch.body is not None
        assert len(bodies.decode(batch.body, batch.media_type)) == answers


def test_what_is_not_due_is_left(engine: Engine, project: int) -> None:
    first, second = fill(engine, project, 1, 1)
    execute(engine, "UPDATE batches SET due_at = now() + '1 hour' WHERE id = :id", id=first)
    assert ids(claim_now(engine, project)) == [second]
    with engine.begin() as connection:
        assert not claims.due(connection, project, "live")
        assert claims.claim(connection, project, "live", batches=9, answers=9, lease=30) is None


def test_other_projects_and_lanes_are_left(engine: Engine, project: int) -> None:
    other = make_project(engine, name="other")
    fill(engine, project, 1, lane="bulk")
    fill(engine, other, 1)
    with engine.begin() as connection:
        assert claims.claim(connection, project, "live", batches=9, answers=9, lease=30) is None


@pytest.mark.parametrize(("attempts", "company"), [(0, 32), (1, 8), (2, 2), (3, 1), (16, 1), (40, 1)])
def test_the_more_often_in_vain_the_smaller_the_company(
    engine: Engine, project: int, attempts: int, company: int
) -> None:
    fill(engine, project, *[1] * 33)
    execute(engine, "UPDATE batches SET attempts = :attempts", attempts=attempts)
    assert len(claim_now(engine, project, batches=32).batches) == company


def test_fresh_batches_are_not_taken_with_tried_ones(engine: Engine, project: int) -> None:
    first, second, third = fill(engine, project, 1, 1, 1)
    execute(engine, "UPDATE batches SET attempts = 1 WHERE id = :id", id=first)
    assert ids(claim_now(engine, project)) == [first]
    assert ids(claim_now(engine, project)) == [second, third]


def test_the_lease_runs_by_postgres_clock(engine: Engine, project: int) -> None:
    fill(engine, project, 1)
    claimed = claim_now(engine, project, lease=7)
    left = "SELECT extract(epoch FROM lease_until - clock_timestamp())::float8 FROM batches"
    with engine.begin() as connection:
        assert 0 < scalar(connection, left) <= 7
        assert claims.expire(connection, 5) == (0, 0)
        claims.renew(connection, claimed.id, ids(claimed), 100)
        assert 7 < scalar(connection, left) <= 100


def test_an_expired_claim_waits_again_with_its_attempts_and_dies_at_last(engine: Engine, project: int) -> None:
    (only,) = fill(engine, project, 1)
    for attempt in (1, 2):
        claim_now(engine, project)
        end_lease(engine)
        with engine.begin() as connection:
            assert claims.expire(connection, 3) == (1, 0)
        assert row(engine, only)[:3] == ("waiting", attempt, None)
    claim_now(engine, project)
    end_lease(engine)
    with engine.begin() as connection:
        assert claims.expire(connection, 3) == (0, 1)
    assert row(engine, only) == ("dead", 3, None, "the lease ran out: the worker stopped or was killed")


def taken_over(engine: Engine, project: int) -> None:
    end_lease(engine)
    with engine.begin() as connection:
        claims.expire(connection, 5)
    claim_now(engine, project)


def expired(engine: Engine, project: int) -> None:
    end_lease(engine)


def cancelled(engine: Engine, project: int) -> None:
    execute(engine, "UPDATE batches SET state = 'cancelled', claim_id = NULL, lease_until = NULL")


LOSSES = [expired, taken_over, cancelled]


@pytest.mark.parametrize("lose", LOSSES)
def test_finishing_a_lost_claim_changes_nothing(
    engine: Engine, project: int, lose: Callable[[Engine, int], None]
) -> None:
    fill(engine, project, 1, 1)
    claimed = claim_now(engine, project)
    lose(engine, project)

    def grade() -> None:
        with engine.begin() as connection, Writes(connection) as writes:
            failures.record(writes, claimed.batches[0].id, "rejected", [(0, "for a reason")])
            claims.finish(writes, claimed.id, ids(claimed), [1, 0])

    with pytest.raises(StaleClaimError, match="holds 0 of 2"):
        grade()
    with engine.connect() as connection:
        assert scalar(connection, "SELECT count(*) FROM failures") == 0
        assert scalar(connection, "SELECT count(*) FROM batches WHERE state = 'graded' OR rejected > 0") == 0


def test_finishing_a_claim_of_which_a_part_is_lost_changes_nothing(engine: Engine, project: int) -> None:
    first, _ = fill(engine, project, 1, 1)
    claimed = claim_now(engine, project)
    execute(engine, "UPDATE batches SET lease_until = now() WHERE id = :id", id=first)
    with (
        pytest.raises(StaleClaimError, match="holds 1 of 2"),
        engine.begin() as connection,
        Writes(connection) as writes,
    ):
        claims.finish(writes, claimed.id, ids(claimed), [0, 0])
    with engine.connect() as connection:
        assert scalar(connection, "SELECT count(*) FROM batches WHERE state = 'claimed'") == 2


@pytest.mark.parametrize("lose", LOSSES)
def test_a_lost_claim_has_no_say_any_more(engine: Engine, project: int, lose: Callable[[Engine, int], None]) -> None:
    (only,) = fill(engine, project, 1)
    claimed = claim_now(engine, project)
    lose(engine, project)
    before = row(engine, only)
    with engine.begin() as connection:
        claims.release(connection, claimed.id, only, error="late", wait=0)
        claims.bury(connection, claimed.id, only, error="late")
        claims.keep(connection, claimed, 30)
    assert row(engine, only) == before
    with pytest.raises(StaleClaimError), engine.begin() as connection:
        claims.renew(connection, claimed.id, [only], 30)


def test_a_claim_is_kept_of_which_something_is_left_and_nobody_waits_for_that(engine: Engine, project: int) -> None:
    first, second = fill(engine, project, 1, 1)
    claimed = claim_now(engine, project, lease=7)
    left = "SELECT extract(epoch FROM lease_until - clock_timestamp())::float8 FROM batches WHERE id = :id"
    with engine.begin() as finishing, engine.begin() as keeping:
        with Writes(finishing) as writes:
            claims.finish(writes, claimed.id, [first], [0])
        claims.keep(keeping, claimed, 100)
        assert 7 < scalar(keeping, left, id=second) <= 100
        assert scalar(keeping, left, id=first) <= 7
    assert row(engine, first)[0] == "graded"


def test_a_released_batch_waits_its_time(engine: Engine, project: int) -> None:
    (only,) = fill(engine, project, 1)
    claimed = claim_now(engine, project)
    with engine.begin() as connection:
        claims.release(connection, claimed.id, only, error="a reason", wait=60)
    assert row(engine, only) == ("waiting", 1, None, "a reason")
    with engine.connect() as connection:
        assert not claims.due(connection, project, "live")
        assert claims.doors(connection, older_than=0) == []


def test_a_buried_batch_is_dead(engine: Engine, project: int) -> None:
    (only,) = fill(engine, project, 1)
    claimed = claim_now(engine, project)
    with engine.begin() as connection:
        claims.bury(connection, claimed.id, only, error="a reason")
    assert row(engine, only) == ("dead", 1, None, "a reason")


def test_doors_are_where_something_has_waited(engine: Engine, project: int) -> None:
    other = make_project(engine, name="other")
    fill(engine, project, 1, 1)
    fill(engine, other, 1, lane="bulk")
    with engine.connect() as connection:
        assert claims.doors(connection, older_than=60) == []
        assert claims.doors(connection, older_than=0) == [(project, "live"), (other, "bulk")]
    claim_now(engine, project)
    with engine.connect() as connection:
        assert claims.doors(connection, older_than=0) == [(other, "bulk")]


def test_nobody_is_called_to_where_somebody_is(engine: Engine, project: int) -> None:
    """Between two claims of one worker another would take what waits, and read all that the first one knows."""
    other = make_project(engine, name="other")
    fill(engine, project, 1, 1, 1)
    fill(engine, project, 1, lane="bulk")
    fill(engine, other, 1)
    claimed = claim_now(engine, project, batches=1)
    elsewhere = [(project, "bulk"), (other, "live")]
    with engine.begin() as connection:
        assert claims.doors(connection, older_than=0) == elsewhere
        with Writes(connection) as writes:
            claims.finish(writes, claimed.id, ids(claimed), [0])
    with engine.begin() as connection:
        connection.execute(text("UPDATE batches SET due_at = due_at - interval '1 h'"))
        assert claims.doors(connection, older_than=60) == elsewhere
        connection.execute(text("UPDATE batches SET finished_at = finished_at - interval '1 h'"))
        assert claims.doors(connection, older_than=60) == sorted([(project, "live"), *elsewhere])


def test_those_who_hold_a_claim_go_through_no_other(engine: Engine, project: int) -> None:
    """The index of claimed batches has all claims of late, and was the planner's choice."""
    fill(engine, project, *[1] * 20)
    held = [claim_now(engine, project, batches=5) for _ in range(4)]
    scans = "SELECT pg_stat_get_xact_numscans('ix_batches_claimed'::regclass)"  # of late, by this connection
    with engine.begin() as connection:
        before = scalar(connection, scans)
        for claimed in held:
            claims.renew(connection, claimed.id, ids(claimed), 30)
            with Writes(connection) as writes:
                claims.finish(writes, claimed.id, ids(claimed), [0] * len(ids(claimed)))
        assert scalar(connection, scans) == before


def test_whoever_stops_while_claiming_holds_no_batch_for_longer_than_the_lease(engine: Engine, project: int) -> None:
    with engine.begin() as connection:
        claims.claim(connection, project, "live", batches=1, answers=1, lease=7)
        assert scalar(connection, "SELECT current_setting('idle_in_transaction_session_timeout')") == "7s"


def test_everything_is_left_to_the_worker_that_is_there_already(engine: Engine, project: int) -> None:
    fill(engine, project, 1, 1)
    held = claim_now(engine, project, batches=1)
    take = partial(claims.claim, project_id=project, batches=64, answers=1000, lease=30)
    with engine.begin() as connection:
        assert take(connection, lane="live") is None
        assert take(connection, lane="live", mine=[held.id]) is not None
    execute(
        engine,
        "UPDATE batches SET state = 'waiting', claim_id = NULL, lease_until = NULL WHERE id <> :id",
        id=ids(held)[0],
    )
    execute(engine, "UPDATE batches SET lease_until = now() WHERE claim_id IS NOT NULL")
    with engine.begin() as connection:
        assert take(connection, lane="live") is not None


def test_what_waits_elsewhere(engine: Engine, project: int) -> None:
    fill(engine, project, 1)
    with engine.connect() as connection:
        assert not claims.elsewhere(connection, project, "live")
        assert claims.elsewhere(connection, project, "bulk")
        assert claims.elsewhere(connection, project + 1, "live")
