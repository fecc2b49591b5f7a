"""What a worker process opened when it started."""

from dataclasses import dataclass, field

from config.settings import Settings
from tasks.publisher import Publisher
from workers.leisure import Leisure
from workers.runtime import Runtime, WorkLeft


@dataclass(frozen=True, slots=True)
class Process:
    """The runtime of the work and the publisher that wakes others after it."""

    runtime: Runtime
    publisher: Publisher
    leisure: Leisure = field(default_factory=Leisure)

    def wake(self, left: WorkLeft, *, force: bool = False) -> None:
        """Ring for the work that is left; to be called after the commit that left it."""
        if left.graded:
            self.publisher.tell(left.graded)
        for project_id, lane in left.doors:
            self.publisher.ring(project_id, lane, force=force, stay=left.staying)
        for project_id in left.regrades:
            self.publisher.ring_regrade(project_id, force=force)
        for project_id in left.refits:
            self.publisher.ring_refit(project_id, force=force)
        for project_id in left.lessons:
            self.publisher.ring_lesson(project_id)
        for project_id in left.revisits:
            self.publisher.start_revisit(project_id)

    def close(self) -> None:
        """Give all connections back."""
        self.publisher.close()
        self.runtime.close()


_process: Process | None = None


def open_process(settings: Settings, role: str, node: str | None = None) -> Process:
    """Open this process's connections; the second call replaces the first.

    Args:
        role: what Postgres shows its connections as.
        node: what the worker is called by Celery.
    """
    global _process  # noqa: PLW0603 - one process, one set of connections
    close_process()
    _process = Process(Runtime.open(settings, name=role), Publisher(settings, node=node))
    return _process


def current() -> Process:
    """What this process opened.

    Raises:
        RuntimeError: this is no worker process.
    """
    if _process is None:
        raise RuntimeError("tasks run in worker processes only: nothing is opened here")
    return _process


def retire() -> None:
    """This worker takes no more messages: it is not to be called alone."""
    if _process is not None:
        _process.publisher.retire()


def close_process() -> None:
    """Close what is open."""
    global _process  # noqa: PLW0603
    if _process is not None:
        _process.close()
        _process = None
