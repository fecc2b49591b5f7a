"""Flower under our settings, however it is started: `touchstone flower` and plain `celery -A tasks flower`.

The `celery` command loads Flower, and with it Flower's options, before it loads an app. So an app that is made while
they are there can set them; what Flower's own command line, environment or file says comes after and is stronger.
"""

import sys

import click
from celery import Celery
from tornado.options import OptionParser, options

from config.settings import Settings

_COLUMNS = "name,uuid,state,args,kwargs,received,started,runtime,worker"
_OFFLINE_SECONDS = 600
_CONNECTIONS = 16  # it asks every worker several questions at once


def configure(app: Celery, settings: Settings) -> None:
    """Set Flower's options if this process has Flower loaded; when Flower starts without a password, it is refused."""
    if "flower.options" in sys.modules:
        apply(app, settings, options)


def apply(app: Celery, settings: Settings, options: OptionParser) -> None:
    """Set Flower's options: address, basic auth, bounded memory, readable columns."""
    options.address = settings.flower_host
    options.port = settings.flower_port
    options.max_tasks = settings.flower_max_tasks
    options.purge_offline_workers = _OFFLINE_SECONDS
    options.tasks_columns = _COLUMNS
    if settings.flower_password:
        options.basic_auth = [f"{settings.flower_user}:{settings.flower_password.get_secret_value()}"]
    options.add_parse_callback(lambda: _starting(app, options))


def _starting(app: Celery, options: OptionParser) -> None:
    """Runs when Flower has read its command line, and in no other process."""
    if not options.basic_auth and not options.auth:
        raise click.ClickException("TOUCHSTONE_FLOWER_PASSWORD: not set, and Flower does not start without one")
    app.conf.broker_pool_limit = _CONNECTIONS
