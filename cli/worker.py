"""`touchstone worker`: one process of the fleet."""

import os
from pathlib import Path
from typing import Annotated

import typer

from cli.errors import CliError

BEAT = 2 / 3
"""Of the silence after which a worker counts as hung: what it tells Flower to be between two signs of life. Flower
takes it for away behind twice that, so it must be more than the longest slice, in which there is none
(`workers.grading.LONGEST`)."""


def worker(
    lane: Annotated[list[str], typer.Option(help="Queue to consume: live, bulk, refit or maintenance. Repeatable.")],
    name: Annotated[str, typer.Option(help="Node name; shown in Flower and in logs.")] = "worker",
    stamp: Annotated[Path | None, typer.Option(help="File to touch as a sign of life.")] = None,
) -> None:
    """Run one worker: live and bulk graded in this process, refit and maintenance in a child with a time limit."""
    from config.settings import load
    from tasks import queues
    from tasks.app import make_app

    unknown = [queue for queue in lane if queue not in queues.NAMES]
    if unknown:
        raise CliError(f"--lane: {unknown[0]!r} is not one of {', '.join(queues.NAMES)}")
    try:
        prefork = queues.prefork(tuple(lane))
    except ValueError as error:
        raise CliError(f"--lane: {error}") from None
    settings = load()
    if queues.REFIT in lane:
        os.nice(10)  # nobody waits for a refit: on a host that is shared, it takes what grading leaves
    app = make_app(settings)
    app.conf.touchstone_stamp = str(stamp) if stamp else None
    app.set_current()
    app.set_default()
    pool = ["--pool=prefork", "--concurrency=1"] if prefork else ["--pool=solo"]
    limit = [f"--time-limit={settings.refit_limit}"] if queues.REFIT in lane else []
    app.worker_main(
        [
            "worker",
            f"--queues={','.join(lane)}",
            f"--hostname={name}@%h",
            f"--loglevel={settings.log_level}",
            "--without-gossip",
            "--without-mingle",
            f"--heartbeat-interval={max(1, round(settings.stall * BEAT))}",
            *pool,
            *limit,
        ]
    )
