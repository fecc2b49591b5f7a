"""Batches after they are in: listed, cancelled, retried; their grades."""

import uuid

import httpx
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session, scoped_session

from db.models import Project
from tests.factories.answer import SheetFactory
from tests.factories.batch import BatchFactory, FailureFactory
from tests.integration.api.callers import batch

Rows = scoped_session[Session]


def only_project(session: Rows) -> Project:
    return session.query(Project).one()


def test_batches_are_listed_in_order_and_filtered(client: httpx.Client, project: str, session: Rows) -> None:
    row = only_project(session)
    made = [BatchFactory.create(project=row, lane=lane) for lane in ("live", "bulk", "live", "live", "bulk")]
    made[2].state = "cancelled"
    session.commit()
    first = client.get(f"{project}/batches?limit=2").json()
    second = client.get(f"{project}/batches", params={"limit": 2, "after": first["next"]}).json()
    third = client.get(f"{project}/batches", params={"limit": 2, "after": second["next"]}).json()
    listed = [item["id"] for page in (first, second, third) for item in page["items"]]
    assert listed == [str(found.uid) for found in made]
    assert third["next"] is None
    live = client.get(f"{project}/batches?lane=live&state=waiting").json()["items"]
    assert [item["id"] for item in live] == [str(made[0].uid), str(made[3].uid)]
    for query in ("limit=0", "limit=1001", "state=lost", "after=nonsense", "after=MQ", "after=ImEi"):
        status = 200 if query == "after=MQ" else 422  # MQ is the cursor of 1
        assert (query, client.get(f"{project}/batches?{query}").status_code) == (query, status)


def test_a_waiting_batch_can_be_cancelled_again_and_again(client: httpx.Client, project: str) -> None:
    location = client.post(f"{project}/batches", json=batch(2)).headers["Location"]
    first, second = client.delete(location), client.delete(location)
    assert (first.status_code, first.json()["state"], first.json()["counts"]["cancelled"]) == (200, "cancelled", 2)
    assert second.json() == first.json()
    assert client.post(f"{location}/retry").status_code == 409


def test_what_has_begun_or_ended_cannot_be_cancelled(client: httpx.Client, project: str, session: Rows) -> None:
    row = only_project(session)
    claimed = BatchFactory.create(project=row, state="claimed", claim_id=uuid.uuid4(), lease_until=text("now()"))
    others = [BatchFactory.create(project=row, state=state) for state in ("graded", "dead")]
    session.commit()
    for found in (claimed, *others):
        reply = client.delete(f"{project}/batches/{found.uid}")
        assert (reply.status_code, reply.headers["Content-Type"]) == (409, "application/problem+json")


def test_dead_batches_and_dead_answers_can_be_revived(client: httpx.Client, project: str, session: Rows) -> None:
    row = only_project(session)
    dead = BatchFactory.create(project=row, state="dead", attempts=5, error="it broke")
    graded = BatchFactory.create(project=row, state="graded", answers=2)
    SheetFactory.create(batch=graded, position=0)
    FailureFactory.create(batch=graded, position=1)
    session.commit()
    for found, waiting in ((dead, 1), (graded, 1)):
        path = f"{project}/batches/{found.uid}"
        revived = client.post(f"{path}/retry")
        assert (revived.status_code, revived.headers["Location"]) == (202, path)
        shown = revived.json()
        assert (shown["state"], shown["attempts"], shown["error"]) == ("waiting", 0, None)
        assert shown["counts"]["waiting"] == waiting
        assert sum(shown["counts"].values()) == shown["answers"]
        assert client.post(f"{path}/retry").status_code == 409


def test_grades_come_by_position_with_outcomes(
    client: httpx.Client, project: str, session: Rows, engine: Engine
) -> None:
    found = BatchFactory.create(project=only_project(session), state="graded", answers=5, rejected=1)
    for position, (grade, counted) in enumerate([(0.7, True), (0.5, True), (0.25, True), (0.75, False)]):
        SheetFactory.create(batch=found, position=position, grade=grade, is_counted=counted, choice=position % 2)
    FailureFactory.create(batch=found, position=4, state="rejected", reason="answer: is empty")
    session.commit()
    with engine.begin() as connection:  # a grade is kept in single precision: 0.7 comes out as 0.69999999
        connection.execute(text("UPDATE projects SET pass_threshold = 0.6875"))
    path = f"{project}/batches/{found.uid}/grades"
    first = client.get(f"{path}?limit=3").json()
    second = client.get(path, params={"limit": 3, "after": first["next"]}).json()
    items = first["items"] + second["items"]
    assert [item["position"] for item in items] == [0, 1, 2, 3, 4]
    assert [item["outcome"] for item in items] == ["pass", "undecided", "fail", "pass", None]
    assert [item["state"] for item in items] == ["graded", "graded", "graded", "superseded", "rejected"]
    assert [item["answer"] for item in items] == ["a", "b", "a", "b", None]
    assert items[4]["reason"] == "answer: is empty"
    assert second["next"] is None


def test_what_is_not_there_is_not_found(client: httpx.Client, project: str) -> None:
    for path in ("", "/grades"):
        assert client.get(f"{project}/batches/{uuid.uuid4()}{path}").status_code == 404
    assert client.delete(f"{project}/batches/{uuid.uuid4()}").status_code == 404
    assert client.post(f"{project}/batches/{uuid.uuid4()}/retry").status_code == 404
    assert client.post("/v1/projects/none/batches", json=batch(1)).status_code == 404
    assert client.post("/v1/projects/%00/batches", json=batch(1)).status_code == 404
    assert client.get("/v1/projects/%00").status_code == 404
