"""The Celery shim: what `celery -A tasks worker|beat|flower` finds."""

from config.settings import load
from tasks.app import make_app

app = make_app(load())
