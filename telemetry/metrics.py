"""Every Prometheus name, declared once. Durations are seconds; labels take a handful of values each.

Counters and histograms are those of this process; API processes that share a port are summed (`telemetry.exposition`).
The gauges of the ledger describe the whole system: whoever serves `/metrics` sets them from the database when it is
scraped.
"""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

_LATENCY = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_MINUTES = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0)
_BODIES = (1, 2, 4, 8, 16, 32, 64, 128, 256)

# The edge
HTTP_REQUESTS = Counter("touchstone_http_requests", "HTTP requests answered.", ["method", "route", "status"])
HTTP_SECONDS = Histogram(
    "touchstone_http_seconds", "Time to answer an HTTP request.", ["method", "route"], buckets=_LATENCY
)
ANSWERS_ACCEPTED = Counter("touchstone_answers_accepted", "Answers committed to Postgres on arrival.")
ANSWERS_REJECTED = Counter("touchstone_answers_rejected", "Answers refused on arrival, each named in the reply.")
BATCHES_REFUSED = Counter("touchstone_batches_refused", "POSTs turned away with 429, by limit.", ["limit"])
FLUSH_BODIES = Histogram("touchstone_flush_bodies", "Batches in one group commit.", buckets=_BODIES)
FLUSH_SECONDS = Histogram("touchstone_flush_seconds", "Time of one group commit.", buckets=_LATENCY)
STREAMS = Gauge("touchstone_streams", "Streams of events that are open.", multiprocess_mode="livesum")
WAITERS = Gauge("touchstone_waiters", "Requests that wait for grades.", multiprocess_mode="livesum")

# The fleet
DOORBELLS = Counter(
    "touchstone_doorbells",
    "Doorbells: rung, coalesced, passed to who knows the project, failed or skipped.",
    ["lane", "outcome"],
)
CLAIMS = Counter("touchstone_claims", "Claims: committed, empty, failed, fenced, no_room, redone.", ["outcome"])
SLICE_SECONDS = Histogram("touchstone_slice_seconds", "Time of one slice, claim to commit.", ["lane"], buckets=_LATENCY)
ANSWERS_GRADED = Counter("touchstone_answers_graded", "Answers graded, each counted once.")
EVENTS = Counter("touchstone_events", "Changes of verdicts that were committed.")
SWEEPS = Counter("touchstone_sweeps", "Sweeps that found something to wake.")
REFIT_SECONDS = Histogram("touchstone_refit_seconds", "Time of one refit, to published.", ["model"], buckets=_MINUTES)

# The ledger, as the database has it
_READ_LAST: Final = "mostrecent"  # of several processes, whichever has read the database last
BATCHES_WAITING = Gauge(
    "touchstone_batches_waiting", "Batches that wait for a claim.", ["lane"], multiprocess_mode=_READ_LAST
)
OLDEST_WAITING_SECONDS = Gauge(
    "touchstone_oldest_waiting_seconds", "Age of the oldest batch that waits.", ["lane"], multiprocess_mode=_READ_LAST
)
ANSWERS = Gauge("touchstone_answers", "Answers by state; lost must be 0.", ["state"], multiprocess_mode=_READ_LAST)
