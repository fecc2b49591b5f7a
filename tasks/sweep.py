"""Find what was forgotten."""

from celery import shared_task

from tasks import queues


@shared_task(name=queues.SWEEP_TASK, time_limit=queues.SWEEP_LIMIT, send_events=False)  # would bury all else in Flower
def sweep() -> None:
    """One sweep; rings whether or not a doorbell seems to be pending, because its message may be lost."""
    from tasks import process
    from workers import house
    from workers import sweep as sweeps

    here = process.current()
    here.wake(sweeps.run(here.runtime), force=True)
    house.keep(here.runtime)
