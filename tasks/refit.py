"""Refit a project."""

from celery import shared_task

from tasks import queues


@shared_task(name=queues.REFIT_TASK)
def refit(project: int) -> None:
    """Carry out the project's waiting model run."""
    from tasks import process
    from workers import refit as refits

    here = process.current()
    here.publisher.hear(project, queues.REFIT_TASK)
    here.wake(refits.run(here.runtime, project))
