"""Batches: accepted once per idempotency key, cancelled and retried where their state allows it."""

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine

from db import batches, failures
from db.batches import Accepted, NewBatch
from db.errors import ConflictError, NotFoundError
from db.writes import Writes
from tests.integration.workers.crowd import accept, answer, books, execute, make_project, new_batch, scalar, store
from tests.locks import waiting_for_locks
from tests.waiting import until


@pytest.fixture
def project(engine: Engine) -> int:
    return make_project(engine)


def posted(project: int, key: str, *challenges: str) -> NewBatch:
    return new_batch(project, [answer(challenge, "r", "a") for challenge in challenges or ("c",)], key=key)


def test_replies_come_in_the_order_of_the_arguments(engine: Engine, project: int) -> None:
    new = [posted(project, key) for key in ("z", "a", "m")]
    with engine.begin() as connection:
        replies = store(connection, new)
    assert replies == [Accepted(batch.digest, batch.reply, new=True) for batch in new]
    with engine.connect() as connection:
        assert scalar(connection, "SELECT array_agg(idempotency_key ORDER BY id) FROM batches") == ["a", "m", "z"]
        assert scalar(connection, "SELECT count(*) FROM payloads") == 3


def test_the_first_of_a_key_is_stored(engine: Engine, project: int) -> None:
    first, second, third = posted(project, "k", "one"), posted(project, "k", "two"), posted(project, "k", "three")
    with engine.begin() as connection:
        assert [reply.new for reply in store(connection, [first, second])] == [True, False]
    with engine.begin() as connection:
        (reply,) = store(connection, [third])
    assert (reply.digest, reply.new) == (first.digest, False)
    assert books(engine, project).accepted == 1


def test_keys_belong_to_their_project(engine: Engine, project: int) -> None:
    other = make_project(engine, name="other")
    with engine.begin() as connection:
        replies = store(connection, [posted(project, "k"), posted(other, "k")])
    assert all(reply.new for reply in replies)


def test_the_same_key_in_two_transactions_at_once(engine: Engine, project: int) -> None:
    """The second waits for the first and gets its reply; a third key beside it is stored none the less."""
    mine, theirs, beside = posted(project, "k", "mine"), posted(project, "k", "theirs"), posted(project, "a")

    def second() -> list[Accepted]:
        with engine.begin() as connection:
            return store(connection, [theirs, beside])

    with ThreadPoolExecutor(1) as pool:
        with engine.begin() as connection:
            store(connection, [mine])
            waiting = pool.submit(second)
            until(lambda: waiting_for_locks(engine), "the second to wait for the first")
        replies = waiting.result()
    assert replies == [Accepted(mine.digest, mine.reply, new=False), Accepted(beside.digest, beside.reply, new=True)]
    assert books(engine, project).accepted == 2


def test_the_key_of_a_transaction_that_failed_is_free(engine: Engine, project: int) -> None:
    mine, theirs = posted(project, "k", "mine"), posted(project, "k", "theirs")

    def second() -> list[Accepted]:
        with engine.begin() as connection:
            return store(connection, [theirs])

    with ThreadPoolExecutor(1) as pool:
        with engine.connect() as connection:
            store(connection, [mine])
            waiting = pool.submit(second)
            until(lambda: waiting_for_locks(engine), "the second to wait for the first")
            connection.rollback()
        assert waiting.result() == [Accepted(theirs.digest, theirs.reply, new=True)]
    assert books(engine, project).accepted == 1


def test_many_flushes_of_the_same_keys_neither_deadlock_nor_double(engine: Engine, project: int) -> None:
    together = threading.Barrier(4)

    def flush(order: int) -> int:
        keys = [f"k{(order * 7 + n * (2 * order + 1)) % 40}" for n in range(40)]
        new = [posted(project, key) for key in keys]
        together.wait()
        with engine.begin() as connection:
            return sum(reply.new for reply in store(connection, new))

    with ThreadPoolExecutor(4) as pool:
        stored = sum(pool.map(flush, range(4)))
    with engine.connect() as connection:
        assert scalar(connection, "SELECT count(*) FROM batches") == stored
        assert scalar(connection, "SELECT count(*) FROM payloads") == stored
        assert scalar(connection, "SELECT count(DISTINCT idempotency_key) FROM batches") == stored


def test_only_a_waiting_batch_is_cancelled(engine: Engine, project: int) -> None:
    uid, claimed = accept(engine, project, [answer("c", "r", "a")], [answer("d", "r", "a")])
    execute(
        engine,
        "UPDATE batches SET state = 'claimed', claim_id = :claim, lease_until = now() WHERE uid = :uid",
        claim=uuid.uuid4(),
        uid=claimed,
    )
    with engine.begin() as connection:
        batches.cancel(connection, project, uid)
        batches.cancel(connection, project, uid)
        with pytest.raises(ConflictError, match="the batch is claimed"):
            batches.cancel(connection, project, claimed)
    row = books(engine, project)
    assert (row.cancelled, row.waiting) == (1, 1)


def test_only_what_is_dead_is_retried(engine: Engine, project: int) -> None:
    (uid,) = accept(engine, project, [answer("c", "r", "a"), answer("d", "r", "a")])
    with engine.begin() as connection, pytest.raises(ConflictError, match="the batch is waiting"):
        batches.retry(connection, project, uid)
    execute(engine, "UPDATE batches SET state = 'dead'")
    assert books(engine, project).dead == 2
    with engine.begin() as connection:
        batches.retry(connection, project, uid)
    assert books(engine, project).waiting == 2


def test_a_rejected_answer_stays_rejected_when_its_batch_is_retried(engine: Engine, project: int) -> None:
    (uid,) = accept(engine, project, [answer("c", "r", "a"), answer("d", "r", "x")])
    with engine.begin() as connection, Writes(connection) as writes:
        batch = batches.get(connection, project, uid)
        failures.record(writes, batch.id, "rejected", [(1, "a reason")])
    execute(engine, "UPDATE batches SET state = 'dead', rejected = 1")
    with engine.begin() as connection:
        batches.retry(connection, project, uid)
    row = books(engine, project)
    assert (row.waiting, row.rejected) == (1, 1)


def test_other_projects_batches_are_not_found(engine: Engine, project: int) -> None:
    other = make_project(engine, name="other")
    (uid,) = accept(engine, project, [answer("c", "r", "a")])
    with engine.begin() as connection:
        for ask in (batches.get, batches.cancel, batches.retry):
            with pytest.raises(NotFoundError):
                ask(connection, other, uid)


def test_pages_follow_each_other(engine: Engine, project: int) -> None:
    uids = accept(engine, project, *([answer("c", f"r{n}", "a")] for n in range(5)))
    execute(engine, "UPDATE batches SET state = 'dead' WHERE uid = :uid", uid=uids[2])
    with engine.connect() as connection:
        first = batches.page(connection, project, state=None, lane=None, after=0, limit=3)
        second = batches.page(connection, project, state=None, lane="live", after=first[-1].id, limit=3)
        dead = batches.page(connection, project, state="dead", lane=None, after=0, limit=3)
    assert [batch.uid for batch in first + second] == uids
    assert [batch.uid for batch in dead] == [uids[2]]
