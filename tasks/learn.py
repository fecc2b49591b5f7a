"""Learn what a project's crowd is like."""

from celery import shared_task

from tasks import queues


@shared_task(name=queues.LEARN_TASK)
def learn(project: int) -> None:
    """One lesson, if it is due; what was learned lets provisional challenges be revisited.

    A lesson that cannot be paid for yet is asked for again: the revisits that asked first may be over by then.
    """
    from tasks import process
    from workers import population

    here = process.current()
    here.publisher.hear(project, queues.LEARN_TASK)
    if population.learn(here.runtime, project):
        here.publisher.go_on_revisiting(project, {}, 0.0)
    elif wait := population.wait(here.runtime, project):
        here.publisher.ring_lesson(project, wait)
