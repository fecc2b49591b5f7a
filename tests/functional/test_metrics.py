"""What workers count can be scraped from them."""

from collections.abc import Callable

import httpx
from prometheus_client.parser import text_string_to_metric_families

from cli.stack.ports import free_port
from tests.functional.conftest import Answer
from tests.functional.fleet import Fleet
from tests.functional.test_grading import post
from tests.waiting import until


def test_each_worker_of_a_host_serves_what_it_counts(
    make_fleet: Callable[..., Fleet], api: httpx.Client, crowd: list[list[Answer]]
) -> None:
    port = free_port()
    fleet = make_fleet(metrics_port=port)
    answers = crowd[0]
    post(api, answers).raise_for_status()

    fleet.worker()
    until(lambda: counted(port, "touchstone_answers_graded_total") == len(answers), "what was graded, in the metrics")
    fleet.worker("maintenance")

    def served() -> bool:
        return any(counted(place, "touchstone_answers_graded_total") == 0 for place in range(port + 1, port + 32))

    until(served, "the metrics of another worker")


def counted(port: int, name: str) -> float | None:
    """What a process on that port says of a metric without labels; None if it says nothing."""
    try:
        found = httpx.get(f"http://127.0.0.1:{port}/metrics").text
    except httpx.TransportError:
        return None
    families = text_string_to_metric_families(found)
    return next((sample.value for family in families for sample in family.samples if sample.name == name), None)
