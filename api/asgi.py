"""The ASGI shim: `uvicorn api.asgi:app`."""

from api.app import create_app
from config.settings import load

app = create_app(load())
