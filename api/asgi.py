"""The ASGI shim: `uvicorn api.asgi:app`."""

from api.app import create_app
from config.settings import load
from telemetry import crashpoints

_settings = load()
crashpoints.arm(_settings.crash_point)
app = create_app(_settings)
