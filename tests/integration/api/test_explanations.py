"""Explanations are the fleet's: here is none, so these are what is said without one."""

import time
from concurrent.futures import ThreadPoolExecutor

import httpx
from sqlalchemy.orm import Session, scoped_session

from api.questions import PATIENCE, TENANT_WAITING
from cli.stack.server import Server
from db.models import Project
from tests.factories.challenge import ChallengeFactory, ConsensusFactory
from tests.processes import hanging, stopped

Rows = scoped_session[Session]


def add(session: Rows, *keys: str, answers: int = 1) -> None:
    project = session.query(Project).one()
    for key in keys:
        ConsensusFactory.create(challenge=ChallengeFactory.create(project=project, key=key), answers=answers)
    session.commit()


def test_what_is_not_there_is_not_found_whether_or_not_a_fleet_is(
    client: httpx.Client, project: str, session: Rows
) -> None:
    add(session, "unanswered", answers=0)
    for key in ("nothing", "unanswered", "a%00b"):
        for path in (f"{project}/explanations/{key}", f"{project}/challenges/{key}/explain"):
            reply = client.get(path)
            assert (path, reply.status_code) == (path, 404)
    assert client.get("/v1/projects/none/explanations/c").status_code == 404


def test_a_challenge_whose_key_ends_in_explain_stays_within_reach(
    client: httpx.Client, project: str, session: Rows
) -> None:
    add(session, "c", "c/explain")
    for key in ("c/explain", "c%2Fexplain"):
        assert client.get(f"{project}/challenges/{key}").json()["challenge"] == "c/explain"


def test_a_fleet_that_does_not_answer_is_not_waited_for_for_ever_or_by_many(
    client: httpx.Client, project: str, session: Rows
) -> None:
    add(session, "c")
    began = time.monotonic()
    with ThreadPoolExecutor(TENANT_WAITING + 4) as threads:
        asked = [threads.submit(client.get, f"{project}/explanations/c") for _ in range(TENANT_WAITING + 4)]
        assert client.get(f"{project}/challenges/c").status_code == 200
        replies = [each.result() for each in asked]
    assert time.monotonic() - began < 3 * PATIENCE
    assert {(reply.status_code, reply.headers["Retry-After"]) for reply in replies} == {(503, "1")}
    refused = [reply for reply in replies if "Too many" in reply.json()["detail"]]
    assert 1 <= len(refused) <= 4


def test_a_hanging_redis_hangs_no_explanation(
    client: httpx.Client, project: str, session: Rows, valkey: Server
) -> None:
    add(session, "c")
    with hanging(valkey):
        assert client.get(f"{project}/explanations/c", timeout=3 * PATIENCE).status_code == 503
        assert client.get(f"{project}/challenges/c").status_code == 200


def test_without_redis_there_is_no_explanation_but_a_verdict(
    client: httpx.Client, project: str, session: Rows, valkey: Server
) -> None:
    add(session, "c")
    with stopped(valkey):
        reply = client.get(f"{project}/challenges/c/explain", timeout=10)
        assert (reply.status_code, reply.headers["Content-Type"]) == (503, "application/problem+json")
        assert client.get(f"{project}/challenges/c").status_code == 200
