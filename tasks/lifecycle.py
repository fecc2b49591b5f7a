"""The life of a worker process: logging, what it opens and closes, its pulse, and the sweep of the idle."""

import os
import signal
import sys
import threading
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from celery import current_app, signals

from config.settings import load
from tasks import queues
from telemetry import crashpoints, exporter, logging

log = logging.get(__name__)

PULSE = 1.0
"""Seconds between two signs of life."""


@signals.setup_logging.connect
def _log(**_: Any) -> None:
    settings = load()
    logging.configure(settings.log_level, settings.log_format)


@signals.worker_init.connect
def _note_names(sender: Any, **_: Any) -> None:
    """The configuration goes along to the child of a prefork worker; what the worker consumes does not."""
    sender.app.conf.touchstone_role = queues.role(sender.app.amqp.queues.consume_from)
    sender.app.conf.touchstone_node = sender.hostname


@signals.worker_process_init.connect
def _open(**_: Any) -> None:
    """In the process that computes: a solo worker itself, or the child of a prefork one."""
    from tasks import process

    settings = load()
    crashpoints.arm(settings.crash_point)
    conf = current_app.conf
    process.open_process(settings, conf.touchstone_role, conf.touchstone_node)
    if settings.metrics_port:
        exporter.serve(settings.metrics_host, settings.metrics_port)


@signals.worker_shutting_down.connect
def _retire(**_: Any) -> None:
    """In a handler of signals, and in the parent of prefork workers, which has no part in the work and no torch."""
    process = sys.modules.get("tasks.process")
    if process is not None:
        process.retire()


@signals.worker_process_shutdown.connect
def _close(**_: Any) -> None:
    from tasks import process

    process.close_process()


@signals.worker_ready.connect
def _start_pulse(sender: Any, **_: Any) -> None:
    """Beat on the worker's own event loop: a worker whose loop hangs, or whose slice never ends, shows no pulse."""
    worker = sender.controller
    stamp = worker.app.conf.get("touchstone_stamp")
    solo = worker.pool_cls.__module__ == "celery.concurrency.solo"
    settings = load()
    if solo:
        _connect()
    else:
        signals.worker_shutting_down.connect(partial(_end_soon, worker.pool, settings.lease), weak=False)
    swept = time.monotonic()

    def beat() -> None:
        nonlocal swept
        if stamp:
            Path(stamp).touch()
        if solo and time.monotonic() - swept > 2 * settings.sweep_interval:
            swept = time.monotonic()
            _sweep_idle()

    beat()
    worker.timer.call_repeatedly(PULSE, beat)


def _end_soon(pool: Any, seconds: float, **_: Any) -> None:
    """Celery waits for a task however long it takes; so long it may take, then it gives back what it can and ends."""
    timer = threading.Timer(seconds, _end, [pool])
    timer.daemon = True
    timer.start()


def _end(pool: Any) -> None:
    for process in pool.info["processes"]:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGTERM)


def _connect() -> None:
    """Who grades has use for all connections; other workers make what they need when they need it."""
    from tasks import process

    process.current().runtime.connect()


def _sweep_idle() -> None:
    """Beat and the maintenance worker may both be gone; whoever has nothing to do looks around too."""
    from tasks import process
    from workers import sweep as sweeps

    here = process.current()
    try:
        here.wake(sweeps.run(here.runtime), force=True)
    except Exception as error:  # noqa: BLE001 - the loop must go on; the next one tries again
        log.warning("idle sweep failed", error=str(error))
