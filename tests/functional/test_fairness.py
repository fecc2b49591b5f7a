"""One project that floods the fleet keeps no other waiting for its end."""

from collections.abc import Callable

from sqlalchemy import Engine, text

from tests.functional.fleet import Fleet, client
from tests.waiting import until

TRICKLES = 50
FLOOD = 120


def test_fifty_trickles_are_graded_before_a_flood_has_run_off(
    make_fleet: Callable[..., Fleet], key: str, engine: Engine
) -> None:
    fleet = make_fleet(claim_batches=8, slice_ms=1)  # a slice is one claim: the flood needs fifteen
    with client(fleet.api(), key) as api:
        names = ["flood", *(f"trickle-{number}" for number in range(TRICKLES))]
        for name in names:
            api.post("/projects", json={"name": name, "classes": ["no", "yes"]}).raise_for_status()

        def post(name: str, batch: int) -> None:
            answers = [{"challenge": f"c{c}", "respondent": f"r{batch}", "answer": "yes"} for c in range(20)]
            api.post(f"/projects/{name}/batches", json={"answers": answers}).raise_for_status()

        for batch in range(FLOOD):
            post("flood", batch)
        for name in names[1:]:
            post(name, 0)
        fleet.worker()
        until(lambda: _graded(engine) == FLOOD + TRICKLES, "all batches")
    with engine.connect() as connection:
        order = connection.execute(
            text("SELECT p.name FROM batches b JOIN projects p ON p.id = b.project_id ORDER BY b.finished_at")
        ).scalars()
        last = list(order)[-FLOOD // 2 :]
    assert set(last) == {"flood"}


def _graded(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text("SELECT count(*) FROM batches WHERE state = 'graded'")).scalar_one())
