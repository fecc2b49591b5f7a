"""What is counted can be scraped, whoever has counted it."""

import os
import signal
from collections.abc import Callable
from urllib.parse import urlsplit

import httpx
import psutil
from prometheus_client.parser import text_string_to_metric_families

from cli.stack.ports import free_port
from tests.functional.conftest import Answer
from tests.functional.fleet import Fleet, client
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
    until(lambda: _counted(port, "touchstone_answers_graded_total") == len(answers), "what was graded, in the metrics")
    fleet.worker("maintenance")

    def served() -> bool:
        return any(_counted(place, "touchstone_answers_graded_total") == 0 for place in range(port + 1, port + 32))

    until(served, "the metrics of another worker")


def test_api_processes_of_one_port_count_together(
    make_fleet: Callable[..., Fleet], key: str, crowd: list[list[Answer]]
) -> None:
    url = make_fleet().api(processes=2)
    port = urlsplit(url).port
    assert port is not None
    with client(url, key) as api:
        api.post("/projects", json={"name": "quiz", "classes": ["no", "yes"]}).raise_for_status()
    served: set[int] = set()
    batches = 0

    def each_has_served() -> bool:
        nonlocal batches
        with client(url, key) as api:
            post(api, crowd[batches % len(crowd)]).raise_for_status()
            served.update(_serving(port))
        batches += 1
        return len(served) == 2

    until(each_has_served, "a batch posted to each process")
    accepted = batches * len(crowd[0])
    assert {_counted(port, "touchstone_answers_accepted_total") for _ in range(20)} == {accepted}
    os.kill(served.pop(), signal.SIGKILL)
    until(lambda: _counted(port, "touchstone_answers_accepted_total") == accepted, "what a killed process has counted")


def _serving(port: int) -> set[int]:
    """Processes with a client on that port."""
    return {
        child.pid
        for child in psutil.Process().children(recursive=True)
        for connection in child.net_connections("tcp")
        if connection.status == psutil.CONN_ESTABLISHED and connection.laddr.port == port
    }


def _counted(port: int, name: str) -> float | None:
    try:
        found = httpx.get(f"http://127.0.0.1:{port}/metrics").text
    except httpx.TransportError:
        return None
    families = text_string_to_metric_families(found)
    return next((sample.value for family in families for sample in family.samples if sample.name == name), None)
