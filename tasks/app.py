"""The Celery application: how messages travel, and what is promised of them."""

from celery import Celery
from celery.app.amqp import AMQP

from config.settings import Settings
from tasks import queues
from tasks.transport import PatientConnection

MODULES = (
    "tasks.grade",
    "tasks.revisit",
    "tasks.regrade",
    "tasks.explain",
    "tasks.refit",
    "tasks.learn",
    "tasks.sweep",
    "tasks.lifecycle",
)
"""Imported by workers when they start; whoever only publishes sends by name and never loads them."""


class _Messages(AMQP):
    Connection = PatientConnection


def make_app(settings: Settings, *, socket_timeout: float = 5.0) -> Celery:
    """Build the application.

    Args:
        socket_timeout: seconds that any command to Redis may take; a publisher inside a request wants fewer.

    Raises:
        SettingsError: no Redis is configured.
    """
    broker = settings.require_redis_url()
    app = Celery("touchstone", broker=broker, amqp=_Messages, include=MODULES, set_as_current=False)
    app.conf.update(
        # Messages: JSON, one Redis list per queue, acknowledged late. Postgres holds the truth: there are no results.
        accept_content=["json"],
        task_serializer="json",
        result_serializer="json",
        task_ignore_result=True,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_queues=queues.queues(),
        task_routes=queues.ROUTES,
        task_default_queue=queues.MAINTENANCE,
        task_create_missing_queues=False,
        broker_transport_options={
            "priority_steps": [0],
            "sep": ":",
            # Longer than anything that runs, so that nothing is delivered again while it is still being done.
            "visibility_timeout": int(max(settings.refit_limit, settings.lease)) + 60,
            "unacked_restore_interval": 5,
            "unacked_restore_throttle": 1,
            "socket_timeout": socket_timeout,
            "socket_connect_timeout": min(socket_timeout, 2.0),
            "socket_keepalive": True,
            "health_check_interval": 5,
            "retry_on_timeout": False,
        },
        # A broker that is away is waited for, for ever by workers, briefly by publishers.
        broker_connection_retry=True,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_connection_timeout=2.0,
        broker_pool_acquire_timeout=1.0,
        broker_pool_limit=2,
        # Workers: take one message at a time, keep nothing in memory that another could do meanwhile.
        worker_prefetch_multiplier=1,
        worker_disable_prefetch=True,
        worker_direct=True,  # a queue for each, by which it calls itself
        worker_pool_start_method="spawn",
        worker_proc_alive_timeout=60.0,
        worker_send_task_events=True,
        worker_cancel_long_running_tasks_on_connection_loss=False,  # leases and fences make a second run harmless
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_soft_shutdown_timeout=settings.lease,
        worker_enable_remote_control=True,
        # Beat: interval schedules only, so that there is no file to corrupt.
        beat_scheduler="celery.beat:Scheduler",
        beat_schedule={
            queues.SWEEP_TASK: {
                "task": queues.SWEEP_TASK,
                "schedule": settings.sweep_interval,
                "options": {"expires": max(1.0, 2 * settings.sweep_interval), "ignore_result": True},
            }
        },
        timezone="UTC",
    )
    return app
