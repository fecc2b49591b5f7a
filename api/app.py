"""The application: every part is made here, from values."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio import to_thread
from fastapi import FastAPI

from api import docs, openapi
from api.access import key_cache
from api.backlog import Backlog
from api.body import Inbox
from api.body_gate import BodyGate
from api.commits import Writer
from api.doors import door_cache
from api.edge import Edge
from api.exchange import Exchange
from api.exports import Exports
from api.farewell import before_stopping
from api.feeds import Feeds
from api.gauges import Gauges
from api.ingest import Ingest
from api.probes import Probe
from api.problems import HANDLERS
from api.questions import Questions
from api.ringer import Ringer
from api.routes import (
    batches,
    events,
    explanations,
    gold,
    gold_holders,
    grades,
    groups,
    model_runs,
    projects,
    respondents,
    verdicts,
    versions,
)
from api.routes.health import health_router
from api.services import Services
from api.waiters import Waiters
from config.settings import Settings
from db.engine import make_engine
from db.line import Line
from tasks.publisher import Publisher

PATIENCE = 2.0
"""Seconds that a request waits for Postgres before it is told to come again."""

ADMITTING = 2
"""Connections for what every POST needs to be let in: slow reads take none of them."""

VERSION = "1"


def create_app(settings: Settings) -> Edge:
    """An ASGI application with connections of its own, opened by its lifespan.

    Raises:
        SettingsError: no database or no Redis is set.
    """
    url = settings.require_database_url()
    exporting = max(1, settings.pool_size // 4)
    pooled, prepared = settings.pool_size - exporting - ADMITTING - 1, settings.prepared_statements
    engine = make_engine(url, pool_size=pooled, name="touchstone-api", prepared=prepared)
    admission = make_engine(url, pool_size=ADMITTING, name="touchstone-admission", prepared=prepared)
    exporters = make_engine(url, pool_size=exporting, name="touchstone-export", prepared=prepared)
    line = Line(url, name="touchstone-ingest", prepared=prepared)
    probe = Probe(admission, Publisher(settings))

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        ringer = Ringer(Publisher(settings))
        feeds = Feeds(engine)
        waiters = Waiters(settings.require_redis_url())
        questions = Questions(ringer, settings.require_redis_url())
        writer = Writer(line, ringer.ring, patience=PATIENCE)
        backlog = Backlog(admission, age=settings.backlog_age, room=settings.backlog_bytes)
        app.state.inbox = Inbox()
        app.state.services = Services(
            settings=settings,
            engine=engine,
            exports=Exports(exporters, exporting),
            writer=writer,
            backlog=backlog,
            ringer=ringer,
            keys=key_cache(admission, seconds=settings.key_cache, patience=PATIENCE),
            doors=door_cache(admission, patience=PATIENCE),
            feeds=feeds,
            waiters=waiters,
            questions=questions,
        )
        ringer.start()
        waiters.start()
        backlog.start()

        def hurry() -> None:
            feeds.close()
            waiters.close()

        with before_stopping(hurry):
            yield
        await backlog.stop()
        await feeds.stop()
        await waiters.stop()
        await questions.close()
        await writer.stop()
        await to_thread.run_sync(ringer.stop, PATIENCE)
        probe.close()
        await line.close()
        for each in (engine, admission, exporters):
            each.dispose()

    app = FastAPI(
        title="Touchstone",
        version=VERSION,
        summary="Grades challenge answers: infers the right answer and whom to trust, live, and says how sure it is.",
        lifespan=lifespan,
        exception_handlers=dict(HANDLERS),
        docs_url=None,
        redoc_url=None,
    )
    for module in (
        projects,
        batches,
        grades,
        explanations,
        verdicts,
        versions,
        events,
        respondents,
        model_runs,
        gold,
        gold_holders,
        groups,
    ):
        app.include_router(module.router)
    app.include_router(health_router(probe, Gauges(engine)))
    docs.mount(app)
    openapi.describe(app, settings)
    app.add_middleware(BodyGate, limit=settings.max_body_bytes)
    app.add_middleware(Exchange)
    return Edge(app, Ingest(app.state))
