"""What Flower sees: that it, and the events that it lives on, are there all the time."""

import time
from dataclasses import dataclass

import httpx

from benchmarks.fleet.stack import Stack

_EVENTS = "flower_events_total{"


@dataclass(frozen=True, slots=True)
class Seen:
    """What Flower has seen of the fleet since it was started."""

    online: int
    """Workers that have shown a sign of life of late, of the `workers` that it knows."""
    workers: int
    events: int


def look(stack: Stack) -> Seen:
    """Ask Flower, until it shows all workers as online or has had the time to hear each again.

    A worker gives a sign of life every 20 s, two thirds of `stall`. One that is late, or was begun anew, is online with
    the next; one that has ended stays offline.

    Raises:
        httpx.HTTPError: it is not there.
    """
    settings = stack.settings
    password = settings.flower_password
    assert password is not None
    with httpx.Client(
        base_url=f"http://{settings.flower_host}:{settings.flower_port}",
        auth=(settings.flower_user, password.get_secret_value()),
        timeout=30,
        trust_env=False,
    ) as client:
        given_up = time.monotonic() + settings.stall
        while not all((workers := _workers(client)).values()) and time.monotonic() < given_up:
            time.sleep(0.5)
        counted = client.get("/metrics").raise_for_status().text
    events = sum(float(line.rpartition(" ")[2]) for line in counted.splitlines() if line.startswith(_EVENTS))
    return Seen(sum(workers.values()), len(workers), int(events))


def _workers(client: httpx.Client) -> dict[str, bool]:
    found: dict[str, bool] = client.get("/api/workers", params={"status": "true"}).raise_for_status().json()
    return found
