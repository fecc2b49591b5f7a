"""The ASGI shim: `uvicorn api.asgi:app`."""

from api.app import create_app
from config.settings import load
from telemetry import crashpoints, logging

_settings = load()
logging.configure(_settings.log_level, _settings.log_format)  # each of several processes starts here
crashpoints.arm(_settings.crash_point)
app = create_app(_settings)
