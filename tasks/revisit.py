"""Revisit the stale challenges of a project."""

from celery import shared_task

from tasks import queues


@shared_task(name=queues.REVISIT_TASK, send_events=False)  # one after the other: would bury all else in Flower
def revisit(project: int, after: int = 0, number: int = 1, moved: int = 0, put_off: int = 0) -> None:
    """One slice of a round; the message carries how far it has come. Losing it costs nothing but the round.

    While grades are waited for, all slices of all projects together take a twentieth of this worker's time.

    Args:
        put_off: how often this slice has been put off for that.
    """
    from dataclasses import asdict

    from tasks import process
    from workers import population
    from workers import revisit as revisits

    here = process.current()
    place = revisits.Round(after, number, moved)
    hurried = revisits.hurried(here.runtime, project)
    if hurried and here.leisure.wait:
        here.publisher.go_on_revisiting(project, asdict(place) | {"put_off": put_off + 1}, revisits.rest(put_off))
        return
    with here.leisure.spent():
        # At every round: while the first one begins answers have just come in, and a lesson may be too dear.
        if place.after == 0 and (wait := population.wait(here.runtime, project)) is not None:
            here.publisher.ring_lesson(project, wait)
        further = revisits.run(here.runtime, project, place)
    if further is not None:
        pause = max(revisits.PAUSE, here.leisure.wait) if hurried else 0.0
        here.publisher.go_on_revisiting(project, asdict(further), pause)
