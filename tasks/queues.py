"""Every queue, what travels on it, and who consumes it.

| queue       | task             | sent by                          | consumed by                     | limit         |
|-------------|------------------|----------------------------------|---------------------------------|---------------|
| live        | grade(project)   | API after a commit, sweep        | solo workers, slice by slice    | the lease     |
| live        | explain(...)     | API, which waits for the reply   | the same solo workers           | 5 s to begin  |
| NODE.dq2    | grade(project)   | a worker, itself or another      | the one that knows the project  | the lease     |
| bulk        | grade(project)   | API after a commit, sweep        | the same solo workers           | the lease     |
| bulk        | revisit(project) | grade when nothing waits, itself | the same solo workers           | 50 ms a slice |
| bulk        | regrade(project) | API after gold changed, sweep    | the same solo workers           | the lease     |
| refit       | refit(project)   | API, sweep                       | prefork worker, 1 spawned child | `refit_limit` |
| refit       | learn(project)   | revisit, refit, sweep, itself    | the same prefork worker         | `refit_limit` |
| maintenance | sweep()          | beat, every `sweep_interval`     | prefork worker, 1 spawned child | `SWEEP_LIMIT` |

A message is a doorbell: it says where to look, never what to do. Losing one costs the time until the next sweep.
`explain` alone is a question, with the key at which its reply is waited for; losing it costs whoever asked another try.
"""

from collections.abc import Collection

from kombu.entity import Queue

LIVE, BULK, REFIT, MAINTENANCE = "live", "bulk", "refit", "maintenance"
LANES = (LIVE, BULK)
NAMES = (LIVE, BULK, REFIT, MAINTENANCE)

GRADE_TASK, REVISIT_TASK, REGRADE_TASK, REFIT_TASK, SWEEP_TASK = "grade", "revisit", "regrade", "refit", "sweep"
EXPLAIN_TASK, LEARN_TASK = "explain", "learn"

GRADED = "touchstone:graded"
"""Channel on which workers say which batches they have graded: ids between blanks. Not a queue: nothing is kept."""

ROUTES = {REFIT_TASK: {"queue": REFIT}, LEARN_TASK: {"queue": REFIT}, SWEEP_TASK: {"queue": MAINTENANCE}}
"""`grade` is sent to the queue of its lane by whoever rings."""

EXPIRES = 60
"""Seconds after which a message that nobody took is worth nothing: the sweep has sent another since.

Not so for `grade`, `regrade` and `refit`, which the sweep does not ring twice: were they to expire, a queue longer than
this would serve nobody.
"""

REVISIT_PAUSE_MS = 5000
"""Milliseconds between the last slice of revisits of a project and the next first one, at least."""

REPLY_SECONDS = 30
"""Seconds that a reply is kept for whoever asked."""

SWEEP_LIMIT = 60
"""Hard time limit of one sweep, seconds."""


def queues() -> tuple[Queue, ...]:
    """Every queue, each of one Redis list."""
    return tuple(Queue(name, routing_key=name) for name in NAMES)  # type: ignore[no-untyped-call]


def role(names: Collection[str]) -> str:
    """What a worker of these queues is to Postgres (`application_name`), whatever its name is to Celery."""
    chosen = next((name for name in (REFIT, MAINTENANCE) if name in names), "worker")
    return f"touchstone-{chosen}"


def prefork(names: tuple[str, ...]) -> bool:
    """Whether a worker of these queues runs its tasks in a child that can be killed at a time limit.

    Raises:
        ValueError: a worker cannot serve queues of both kinds.
    """
    kinds = {name in {REFIT, MAINTENANCE} for name in names}
    if len(kinds) != 1:
        raise ValueError("live and bulk are served by solo workers, refit and maintenance by prefork ones")
    return kinds.pop()
