"""The Celery shim: what `celery -A tasks worker|beat|flower` finds."""

from config.settings import SettingsError, load
from tasks import flower
from tasks.app import make_app

try:
    _settings = load()
    app = make_app(_settings)
except SettingsError as error:
    raise SystemExit(f"error: {error}") from None
flower.configure(app, _settings)
