"""Flower's options, on a parser of our own that declares them as Flower does."""

import click
import pytest
from celery import Celery
from tornado.options import OptionParser

from config.settings import Settings
from tasks import flower


@pytest.fixture
def options() -> OptionParser:
    parser = OptionParser()
    for name, default in {"address": "", "port": 5555, "max_tasks": 100_000, "tasks_columns": "", "auth": ""}.items():
        parser.define(name, default=default, type=type(default))
    parser.define("basic_auth", type=str, multiple=True)
    parser.define("purge_offline_workers", type=int)
    return parser


def test_settings_become_flowers_defaults(options: OptionParser) -> None:
    app = Celery(set_as_current=False)
    flower.apply(
        app, Settings(flower_port=7000, flower_user="me", flower_password="secret", flower_max_tasks=9), options
    )
    options.parse_command_line(["flower"])
    assert (options.address, options.port, options.max_tasks) == ("127.0.0.1", 7000, 9)
    assert options.basic_auth == ["me:secret"]
    assert app.conf.broker_pool_limit == 16


def test_flowers_own_command_line_is_stronger(options: OptionParser) -> None:
    flower.apply(Celery(set_as_current=False), Settings(flower_port=7000, flower_password="secret"), options)
    options.parse_command_line(["flower", "--port=7001", "--address=::1"])
    assert (options.address, options.port) == ("::1", 7001)


def test_without_a_password_flower_does_not_start(options: OptionParser) -> None:
    flower.apply(Celery(set_as_current=False), Settings(flower_password=None), options)
    with pytest.raises(click.ClickException, match="TOUCHSTONE_FLOWER_PASSWORD"):
        options.parse_command_line(["flower"])


def test_a_password_on_the_command_line_will_do(options: OptionParser) -> None:
    flower.apply(Celery(set_as_current=False), Settings(flower_password=None), options)
    options.parse_command_line(["flower", "--basic_auth=me:secret"])
    assert options.basic_auth == ["me:secret"]
