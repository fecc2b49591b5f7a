"""The processes of the default stack, servers aside."""

import http.client
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from signal import SIGKILL, SIGTERM, Signals

from cli.stack.child import Program
from cli.stack.home import Home
from cli.stack.supervisor import Service, Tier

# This environment's console script, whatever the path says.
TOUCHSTONE = (sys.executable, "-P", "-m", "cli.main")

_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not listened on


def touchstone(home: Home, name: str, *arguments: str, death_signal: Signals = SIGKILL) -> Program:
    """`touchstone ARGUMENTS` working for a home; unless said otherwise killed when we die: nothing is lost that way."""
    return Program(
        name=name,
        command=[*TOUCHSTONE, *arguments],
        owner=home.path,
        log=home.log(name),
        death_signal=death_signal,
        environment={"TOUCHSTONE_HOME": str(home.path)},
    )


def workers(home: Home, count: int) -> Iterator[Service]:
    """Solo processes for the live and bulk lanes, one process each for the others, and beat."""
    for number in range(1, count + 1):
        yield _worker(home, f"worker-{number}", "live", "bulk")
    yield _worker(home, "worker-refit", "refit")
    yield _worker(home, "worker-maintenance", "maintenance")
    yield Service(touchstone(home, "beat", "beat"), Tier.EDGE)


def edge(home: Home, *, host: str, port: int, processes: int, flower_host: str, flower_port: int) -> Iterator[Service]:
    """The API and Flower."""
    serve = ("serve", "--host", host, "--port", str(port), "--processes", str(processes))
    api = touchstone(home, "api", *serve, death_signal=SIGTERM)  # which ends its own processes, if it has any
    yield Service(api, Tier.EDGE, ready=answering(host, port, "/readyz"))
    show = ("flower", "--host", flower_host, "--port", str(flower_port))
    flower = replace(touchstone(home, "flower", *show), patience=3.0)  # it waits for its threads, which wait for Redis
    yield Service(flower, Tier.EDGE, ready=answering(flower_host, flower_port, "/healthcheck"))


def answering(host: str, port: int, path: str) -> Callable[[], bool]:
    """A check whether an HTTP server answers 200."""

    def answers() -> bool:
        with closing(http.client.HTTPConnection(_WILDCARDS.get(host, host), port, timeout=2)) as connection:
            try:
                connection.request("GET", path)
                return connection.getresponse().status == http.client.OK
            except (OSError, http.client.HTTPException):
                return False

    return answers


def _worker(home: Home, name: str, *lanes: str) -> Service:
    stamp = home.stamp(name)
    chosen = [word for lane in lanes for word in ("--lane", lane)]
    program = touchstone(home, name, "worker", *chosen, "--name", name, "--stamp", str(stamp))
    return Service(program, Tier.WORKERS, ready=stamp.exists, stamp=stamp)
