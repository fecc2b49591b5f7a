"""What an expression of Prometheus asks for: metrics, labels and their values."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.utils import floatToGoString

import api.routes
from api import backlog, ingest
from db import ledger
from tasks import queues
from telemetry import metrics
from tests.unit.deploy.files import DEPLOY

_SELECTOR = re.compile(r'\b([a-zA-Z_:][\w:]*)(\{(?:[^"{}]|"[^"]*")*\})')
_BARE = re.compile(r"\btouchstone_\w+")
_MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
_GROUPED = re.compile(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)")
_TARGET = frozenset({"job", "instance"})
"""Labels that Prometheus adds."""


@dataclass(frozen=True)
class Metric:
    """A name as it is scraped.

    Args:
        values: what its labels can be, of those of which that is known.
    """

    family: str
    documentation: str
    labels: frozenset[str]
    values: dict[str, set[str]]


def _scraped() -> Iterator[tuple[str, Metric]]:
    for declared in vars(metrics).values():
        if not isinstance(declared, Counter | Gauge | Histogram):
            continue
        (family,) = declared.describe()
        labels = frozenset(declared._labelnames)
        plain = Metric(family.name, family.documentation, labels, _values(family.documentation))
        if isinstance(declared, Counter):
            yield f"{family.name}_total", plain
        elif isinstance(declared, Gauge):
            yield family.name, plain
        else:
            bounds = {floatToGoString(bound) for bound in declared._upper_bounds}
            yield f"{family.name}_count", plain
            yield f"{family.name}_sum", plain
            yield (
                f"{family.name}_bucket",
                Metric(family.name, family.documentation, labels | {"le"}, plain.values | {"le": bounds}),
            )


def _values(documentation: str) -> dict[str, set[str]]:
    return {
        "state": set(ledger.STATES),
        "lane": set(queues.NAMES),
        "outcome": set(re.findall(r"\w+", documentation)),
        "limit": set(re.findall(r'_refusal\("(\w+)"', Path(backlog.__file__).read_text())),
        "status": {"200", "202", "404", "429", "500", "503"},
        "method": {"GET", "POST", "PUT", "PATCH", "DELETE"},
        "route": {ingest.PATH, *_routes()},
        "job": jobs(),
    }


def _routes() -> Iterator[str]:
    for module in pkgutil.iter_modules(api.routes.__path__):
        router = getattr(importlib.import_module(f"api.routes.{module.name}"), "router", None)
        yield from (route.path for route in router.routes) if router else ()


def jobs() -> set[str]:
    """The names of the jobs that Prometheus scrapes."""
    return set(re.findall(r"job_name: (\S+)", (DEPLOY / "prometheus" / "prometheus.yml").read_text()))


SCRAPED = dict(_scraped())


def faults(expression: str) -> list[str]:
    """What the expression asks for that there is not."""
    selectors = _SELECTOR.findall(expression)
    names = {name for name, _ in selectors} | set(_BARE.findall(_MATCHER.sub("", expression)))
    found = [f"{name} is not declared" for name in sorted(names - set(SCRAPED))]
    known = [SCRAPED[name] for name in names if name in SCRAPED]
    labels = _TARGET.union(*(metric.labels for metric in known))
    for grouped in _GROUPED.findall(expression):
        found += [f"nothing has {label}" for label in map(str.strip, grouped.split(",")) if label not in labels]
    for name, matchers in selectors:
        if name in SCRAPED:
            found += [
                fault
                for label, operator, value in _MATCHER.findall(matchers)
                for fault in _mismatch(name, label, operator, value)
            ]
    return found


def _mismatch(name: str, label: str, operator: str, value: str) -> Iterator[str]:
    metric = SCRAPED[name]
    if label not in metric.labels | _TARGET:
        yield f"{name} has no label {label}"
    elif label in metric.values:
        plain = re.fullmatch(r"[\w|]+", value) is not None
        for part in value.split("|") if "~" in operator and plain else [value]:
            pattern = part if "~" in operator else re.escape(part)
            if not any(re.fullmatch(pattern, each) for each in metric.values[label]):
                yield f"{label} of {name} is never {part}"
