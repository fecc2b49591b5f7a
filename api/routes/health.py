"""What machines ask: alive, ready, and how much of what."""

import anyio
from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST
from sqlalchemy.exc import SQLAlchemyError

from api.gauges import Gauges
from api.outages import reason
from api.probes import Probe
from api.problems import ProblemError
from api.schemas.health import Readiness
from api.timed_cache import TimedCache
from telemetry import exposition, logging

log = logging.get(__name__)

PATIENCE = 3.0


def health_router(probe: Probe, gauges: Gauges) -> APIRouter:
    """The unversioned routes; they have threads of their own, so that a flood of requests does not fail them."""
    router = APIRouter(tags=["health"])
    looks: TimedCache[None, Readiness] = TimedCache(lambda _: probe.look(), seconds=0, size=1, patience=PATIENCE)
    counting, writing = CapacityLimiter(2), CapacityLimiter(1)

    @router.get("/livez")
    async def livez() -> dict[str, str]:
        """Whether this process runs."""
        return {"status": "alive"}

    @router.get("/readyz", responses={503: {"model": Readiness, "description": "Something is away."}})
    async def readyz(response: Response) -> Readiness:
        """Whether this process can serve: Postgres, Redis, and a schema that is new enough."""
        try:
            found = await looks.get(None)
        except ProblemError:  # the look, which all who ask meanwhile wait for, takes too long
            found = Readiness(postgres=False, redis=False, migrations=False)
        response.status_code = 200 if found.postgres and found.redis and found.migrations else 503
        return found

    @router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def metrics() -> Response:
        """Everything for Prometheus; counters are of all API processes of this port, gauges of the whole system."""
        with anyio.move_on_after(PATIENCE):
            try:
                await to_thread.run_sync(gauges.refresh, abandon_on_cancel=True, limiter=counting)
            except SQLAlchemyError as error:
                log.warning("cannot read the ledger", error=reason(error))
        return Response(await to_thread.run_sync(exposition.latest, limiter=writing), media_type=CONTENT_TYPE_LATEST)

    return router
