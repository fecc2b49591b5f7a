"""A lease is kept from a thread, and whoever stops in the middle of keeping it holds up nobody."""

from sqlalchemy import Connection, Engine, text

from db import claims, transactions
from tests.integration.workers.crowd import accept, answer, make_project, scalar
from tests.waiting import until
from workers import lease

LEASE = 0.6


def test_a_renewal_that_stops_in_the_middle_frees_its_rows(engine: Engine) -> None:
    project = make_project(engine)
    accept(engine, project, [answer("c", "r", "a")])
    with engine.begin() as connection:
        claim = claims.claim(connection, project, "live", batches=9, answers=9, lease=30)
    assert claim is not None
    renewals = []

    def renew(connection: Connection) -> None:
        claims.keep(connection, claim, 30)
        renewals.append(scalar(connection, "SELECT pg_backend_pid()"))
        if len(renewals) == 1:
            until(lambda: lockable(engine), "Postgres to end a transaction that has stopped in the middle")

    with lease.kept(engine, renew, LEASE):
        until(lambda: len(renewals) > 1, "the lease to be kept all the same")
    assert renewals[0] != renewals[1]


def test_a_renewal_does_not_wait_for_ever(engine: Engine) -> None:
    project = make_project(engine)
    accept(engine, project, [answer("c", "r", "a")])
    tries = []

    def renew(connection: Connection) -> None:
        tries.append(True)
        connection.execute(text("SELECT FROM batches FOR UPDATE"))

    with engine.begin() as holder:
        holder.execute(text("SELECT FROM batches FOR UPDATE"))
        with lease.kept(engine, renew, LEASE):
            until(lambda: len(tries) > 1, "another try")


def lockable(engine: Engine) -> bool:
    with transactions.begun(engine, transactions.bounds(idle=30)) as connection:
        return len(connection.execute(text("SELECT FROM batches FOR UPDATE SKIP LOCKED")).all()) == 1
