"""Grade what waits for a project and lane."""

from celery import shared_task

from tasks import queues
from telemetry import crashpoints


@shared_task(name=queues.GRADE_TASK)
def grade(project: int, lane: str, *, urgent: bool = False) -> None:
    """One slice of work at a door. A failing batch makes the task fail after it has been dealt with in the database.

    Args:
        urgent: nobody came when it was rung before: it is not left to another worker, be it one that knows the project.
    """
    from tasks import process
    from workers import faults, grading

    here = process.current()
    if not urgent and here.publisher.pass_on(project, lane):
        return
    door = here.publisher.door(project, lane)
    door.stay(knowing=False)
    crashpoints.reach("grade-heard")
    try:
        left = grading.run(here.runtime, project, lane, door)
    except faults.GradingFailedError as error:
        here.wake(error.left)
        raise
    crashpoints.reach("grade-before-wake")
    here.wake(left)
    crashpoints.reach("grade-before-ack")
