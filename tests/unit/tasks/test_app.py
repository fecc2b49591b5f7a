"""What the Celery application promises, read from its configuration."""

import subprocess
import sys

import pytest
from celery import Celery

from config.settings import Settings, SettingsError
from tasks import queues
from tasks.app import MODULES, make_app


@pytest.fixture
def settings() -> Settings:
    return Settings(redis_url="redis://:secret@127.0.0.1:1/0", refit_limit=1000, lease=20, sweep_interval=3)


@pytest.fixture
def app(settings: Settings) -> Celery:
    made = make_app(settings)
    made.loader.import_default_modules()
    return made


def test_messages_are_acknowledged_late_and_hold_no_result(app: Celery) -> None:
    for name in (queues.GRADE_TASK, queues.REFIT_TASK, queues.SWEEP_TASK):
        task = app.tasks[name]
        assert (task.acks_late, task.reject_on_worker_lost, task.ignore_result) == (True, True, True)
        assert task.serializer == "json"
    assert app.conf.accept_content == ["json"]
    assert app.conf.worker_disable_prefetch is True
    assert app.conf.worker_prefetch_multiplier == 1
    assert app.conf.worker_send_task_events is True


def test_nothing_is_delivered_again_while_it_is_being_done(app: Celery, settings: Settings) -> None:
    longest = max(settings.refit_limit, settings.lease, queues.SWEEP_LIMIT)
    assert app.conf.broker_transport_options["visibility_timeout"] > longest
    assert 1 <= app.conf.broker_transport_options["unacked_restore_interval"] < 60


def test_a_broker_that_is_away_is_waited_for_and_one_that_hangs_is_not(settings: Settings) -> None:
    conf = make_app(settings, socket_timeout=0.5).conf
    assert conf.broker_connection_retry is True
    assert conf.broker_connection_retry_on_startup is True
    assert conf.broker_connection_max_retries is None
    assert 0 < conf.broker_pool_acquire_timeout <= 5
    assert conf.broker_transport_options["socket_timeout"] == 0.5
    assert conf.broker_transport_options["socket_connect_timeout"] == 0.5


def test_one_redis_list_for_each_queue(app: Celery) -> None:
    assert {queue.name for queue in app.conf.task_queues} == set(queues.NAMES)
    assert app.conf.broker_transport_options["priority_steps"] == [0]
    assert app.conf.task_create_missing_queues is False
    assert app.conf.task_default_queue in queues.NAMES


def test_every_task_travels_on_a_queue_that_somebody_consumes(app: Celery) -> None:
    ours = {name for name in app.tasks if not name.startswith("celery.")}
    assert ours == {
        queues.GRADE_TASK,
        queues.REVISIT_TASK,
        queues.REGRADE_TASK,
        queues.EXPLAIN_TASK,
        queues.REFIT_TASK,
        queues.LEARN_TASK,
        queues.SWEEP_TASK,
    }
    assert {queue for route in queues.ROUTES.values() for queue in route.values()} | set(queues.LANES) == set(
        queues.NAMES
    )


def test_every_queue_has_one_kind_of_worker() -> None:
    kinds = {name: queues.prefork((name,)) for name in queues.NAMES}
    assert kinds == {"live": False, "bulk": False, "refit": True, "maintenance": True}
    assert queues.prefork(queues.LANES) is False
    with pytest.raises(ValueError, match="solo workers"):
        queues.prefork(("live", "refit"))


def test_beat_sweeps(app: Celery, settings: Settings) -> None:
    (entry,) = app.conf.beat_schedule.values()
    assert entry["task"] in app.tasks
    assert entry["schedule"] == settings.sweep_interval
    assert settings.sweep_interval < entry["options"]["expires"] <= 60
    assert app.conf.beat_scheduler == "celery.beat:Scheduler"


def test_without_redis_there_is_no_application() -> None:
    with pytest.raises(SettingsError, match=r"^REDIS_URL: not set"):
        make_app(Settings(redis_url=None))


@pytest.mark.parametrize("modules", [MODULES, ("tasks.publisher",)], ids=["worker's parent", "publisher"])
def test_whoever_only_registers_or_rings_loads_no_torch(modules: tuple[str, ...]) -> None:
    program = f"import sys, {', '.join(modules)}; assert not {{'torch', 'workers.grading'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_parent_of_prefork_workers_ends_without_torch() -> None:
    program = (
        "import sys; from celery import signals; import tasks.lifecycle;"
        " ((_, failure),) = signals.worker_shutting_down.send(sender='w@here', sig='TERM', how='Warm', exitcode=0);"
        " assert failure is None and 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
