"""Several API processes of one port are one API to whoever watches them."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from tests.functional.conftest import Answer
from tests.functional.fleet import Fleet, client
from tests.functional.test_grading import post
from tests.functional.test_metrics import counted
from tests.waiting import until


def test_what_they_count_is_summed_and_each_logs_as_it_is_told(
    make_fleet: Callable[..., Fleet], key: str, crowd: list[list[Answer]], tmp_path: Path
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
    assert {counted(port, "touchstone_answers_accepted_total") for _ in range(20)} == {accepted}
    (log,) = tmp_path.rglob("*-serve.log")
    said = [json.loads(line) for line in log.read_text().splitlines()]  # else a traceback might show a key
    assert [line["event"] for line in said].count("Application startup complete.") == 2
    os.kill(served.pop(), signal.SIGKILL)
    until(lambda: counted(port, "touchstone_answers_accepted_total") == accepted, "what a killed process has counted")


def _serving(port: int) -> set[int]:
    """Processes with a client on that port."""
    return {
        connection.pid
        for connection in psutil.net_connections("tcp")  # of all processes: any that ends meanwhile is passed over
        if connection.pid and connection.status == psutil.CONN_ESTABLISHED
        if connection.laddr and connection.laddr.port == port
    }
