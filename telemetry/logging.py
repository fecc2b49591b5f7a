"""How processes log: structlog and the standard library through one renderer, on standard error.

Events are constant strings; what varies travels as fields. Identifiers of the work in hand are bound with :func:`bound`
and appear on every line logged inside the block, also on those of libraries.
"""

import logging
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Literal

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

Level = Literal["debug", "info", "warning", "error"]
Format = Literal["auto", "json", "console"]

REDACTED = "***"

_SECRET_FIELDS = re.compile(r"(?i)^(.*_)?(password|secret|token|authorization|api_?key|cookie)$")
_URL_PASSWORD = re.compile(r"(://[^/@:\s]*:)[^/@\s]+(?=@)")

# Libraries that say at INFO what nobody asked.
_QUIET = (
    "alembic.runtime.plugins",
    "asyncio",
    "celery.app.trace",
    "celery.beat",
    "celery.worker.strategy",
    "httpcore",
    "httpx",
    "tornado.access",
)


def configure(level: Level = "info", format: Format = "auto") -> None:  # noqa: A002 - the setting's own name
    """Make this process log `level` and above on standard error.

    `auto` renders for eyes when a terminal is looking and as one JSON object a line otherwise. Call once, at a
    composition root; calling again replaces what was configured. Celery must be told not to hijack the root logger.
    """
    json = format == "json" or (format == "auto" and not sys.stderr.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    render = (
        structlog.processors.JSONRenderer()
        if json
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                redact,
                render,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def get(name: str) -> structlog.stdlib.BoundLogger:
    """The logger of a module: `log = get(__name__)`."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


def bind(**fields: str) -> None:
    """Carry identifiers through everything logged from now on in this context, which nobody else uses."""
    structlog.contextvars.bind_contextvars(**fields)


@contextmanager
def bound(
    *, request: str | None = None, project: object = None, claim: object = None, batch: object = None, **fields: object
) -> Iterator[None]:
    """Carry identifiers through everything logged inside the block; those that are None are left out."""
    named = {"request": request, "project": project, "claim": claim, "batch": batch, **fields}
    with structlog.contextvars.bound_contextvars(
        **{key: str(value) for key, value in named.items() if value is not None}
    ):
        yield


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Blank fields named like secrets and the passwords inside URLs, wherever they stand."""
    return {key: REDACTED if _SECRET_FIELDS.match(str(key)) else _clean(value) for key, value in event.items()}


def _clean(value: object) -> object:
    if isinstance(value, str):
        return _URL_PASSWORD.sub(rf"\g<1>{REDACTED}", value)
    if isinstance(value, Mapping):
        return {key: REDACTED if _SECRET_FIELDS.match(str(key)) else _clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    return value
