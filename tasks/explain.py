"""Explain a verdict to whoever waits for it."""

from celery import shared_task

from tasks import queues


@shared_task(name=queues.EXPLAIN_TASK)
def explain(project: int, challenge: int, reply: str, gold: bool) -> None:
    """Reply with the explanation, or with `null` if there is no verdict."""
    import msgspec

    from tasks import process
    from workers import explain as explanations

    here = process.current()
    found = explanations.run(here.runtime, project, challenge, gold=gold)
    here.publisher.reply(reply, msgspec.json.encode(found))
