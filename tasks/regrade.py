"""Follow a project's gold."""

from celery import shared_task

from tasks import queues


@shared_task(name=queues.REGRADE_TASK)
def regrade(project: int) -> None:
    """One slice of the gold that has changed."""
    from tasks import process
    from workers import regrade as regrades

    here = process.current()
    here.publisher.hear(project, queues.REGRADE_TASK)
    here.wake(regrades.run(here.runtime, project))
