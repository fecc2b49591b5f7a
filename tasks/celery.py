"""The Celery shim: what `celery -A tasks worker|beat|flower` finds."""

from config.settings import load
from tasks import flower
from tasks.app import make_app

_settings = load()
app = make_app(_settings)
flower.configure(app, _settings)
