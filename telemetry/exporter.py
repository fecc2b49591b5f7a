"""Serving what a worker counts to Prometheus. The API has a route of its own for what it counts."""

from prometheus_client import start_http_server

from telemetry import logging

log = logging.get(__name__)

HOSTMATES = 32
"""Worker processes of one host that find a port."""


def serve(host: str, port: int) -> int | None:
    """Serve this process's metrics, in a thread, on the first port from this one on that is free.

    Returns:
        The port; None, which is logged, if there is none.
    """
    for place in range(port, port + HOSTMATES):
        try:
            start_http_server(place, host)
        except OSError:
            continue
        log.info("metrics served", host=host, port=place)
        return place
    log.warning("metrics not served: no port is free", first=port, last=port + HOSTMATES - 1)
    return None
