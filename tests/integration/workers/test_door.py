"""The door at which a worker grades: whoever comes while it is there need not ring."""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Engine

from db import claims
from tests.integration.workers.crowd import accept, answer, make_project
from workers import grading
from workers.runtime import Runtime


@dataclass
class Doorkeeper:
    """Notes what it is told, and does something when the door is left."""

    leaving: Callable[[], object] = lambda: None
    closing: bool = False
    heard: list[str] = field(default_factory=list)

    def stay(self, *, knowing: bool) -> None:
        self.heard.append("know" if knowing else "stay")

    def leave(self) -> None:
        self.heard.append("leave")
        self.leaving()

    def tell(self, graded: Sequence[uuid.UUID]) -> None:
        self.heard.append(f"tell {len(graded)}")


def test_the_door_is_left_before_the_last_look(engine: Engine, runtime: Runtime) -> None:
    project = make_project(engine)
    accept(engine, project, [answer("c", "r", "a")], [answer("c", "s", "a")])
    door = Doorkeeper(lambda: accept(engine, project, [answer("c", "t", "a")]))  # nobody rings: the bell still stands
    assert grading.run(runtime, project, "live", door).doors == ((project, "live"),)
    assert [word for word in door.heard if word != "stay"] == ["tell 2", "leave"]
    assert door.heard[0] == "stay"


def test_a_door_that_another_is_at_is_left_to_that_one(engine: Engine, runtime: Runtime) -> None:
    project = make_project(engine)
    accept(engine, project, [answer("c", "r", "a")])
    with engine.begin() as connection:
        claims.claim(connection, project, "live", batches=1, answers=10, lease=60)
    accept(engine, project, [answer("c", "s", "a")])
    door = Doorkeeper()
    assert grading.run(runtime, project, "live", door).doors == ()
    assert "leave" not in door.heard


def test_who_remembers_much_of_a_project_says_so(engine: Engine, runtime: Runtime) -> None:
    runtime.connect()  # each connection that is made later makes it forget
    project, other = make_project(engine), make_project(engine, name="other")
    door = Doorkeeper()
    for answers in ([answer(f"c{n}", f"r{n}", "a") for n in range(grading.MUCH // 2)], [answer("c", "r", "a")]):
        accept(engine, project, answers)
        grading.run(runtime, project, "live", door)
    assert [word for word in door.heard if word in {"stay", "know"}] == ["stay", "stay", "know", "know"]
    accept(engine, other, [answer("c", "r", "a")])
    grading.run(runtime, other, "live", door)
    assert door.heard.count("know") == 2
