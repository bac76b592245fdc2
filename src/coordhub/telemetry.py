"""What the hub says about itself: one JSON line for each thing that happened, and counters.

An event is named in the dotted past tense (`delivery.attempted`); its fields are ids, codes, paths
and numbers, never the content of a resource: neither a name nor a body may reach a log.

https://prometheus.io/docs/practices/naming/
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, lru_cache
from pathlib import PurePath
from types import TracebackType
from typing import Final, TextIO

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    start_http_server,
)

Field = str | int | float | bool | None

REGISTRY = CollectorRegistry()
"""Our own, so that two apps in one process of the tests do not quarrel over the global one."""

REQUESTS = Counter(
    "coordhub_requests",
    "Requests answered, by FHIR interaction and HTTP status.",
    ("interaction", "status"),
    registry=REGISTRY,
)
SECONDS = Histogram(
    "coordhub_request_seconds",
    "How long requests took, by FHIR interaction.",
    ("interaction",),
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
    registry=REGISTRY,
)
THROTTLED = Counter(
    "coordhub_throttled",
    "Requests that were refused as too many, by which limit: rate, at-once, day; failures, of an address.",
    ("limit",),
    registry=REGISTRY,
)
LOOKS = Counter(
    "coordhub_searches",
    "Searches, histories and $everything, by the server that answered: primary, replica.",
    ("server",),
    registry=REGISTRY,
)
TOKEN_REFUSALS = Counter(
    "coordhub_token_refusals",
    "Requests at the token endpoint and its neighbours that were refused, by OAuth error.",
    ("error",),
    registry=REGISTRY,
)
DELIVERIES = Counter(
    "coordhub_delivery_attempts",
    "Delivery attempts, by channel and what came of them.",
    ("channel", "result"),
    registry=REGISTRY,
)

UNRELAYED = Gauge(
    "coordhub_oldest_unrelayed_change_seconds",
    "Age of the oldest change whose deliveries are not planned yet; 0 without one.",
    registry=REGISTRY,
)
LATE_TIMERS = Gauge(
    "coordhub_late_timers",
    "Timers that are due and not fired.",
    registry=REGISTRY,
)
OVERDUE_TIMER = Gauge(
    "coordhub_latest_timer_seconds",
    "How long the timer that is most overdue has waited to be fired; 0 without one.",
    registry=REGISTRY,
)
DEAD = Gauge(
    "coordhub_dead_deliveries",
    "Deliveries that were given up and wait for a person.",
    registry=REGISTRY,
)
OWED = Gauge(
    "coordhub_owed_deliveries",
    "Deliveries that are not settled, by Endpoint (id, inbox, or others).",
    ("endpoint",),
    registry=REGISTRY,
)
OLDEST = Gauge(
    "coordhub_oldest_delivery_seconds",
    "Age of the oldest delivery that is not settled, by Endpoint (id, inbox, or others).",
    ("endpoint",),
    registry=REGISTRY,
)
OLDEST_DUE = Gauge(
    "coordhub_oldest_due_delivery_seconds",
    "For how long the delivery that is due longest has been due, by Endpoint (id, inbox, or others).",
    ("endpoint",),
    registry=REGISTRY,
)
CIRCUITS = Gauge(
    "coordhub_circuits",
    "Endpoints that fail or recover, by the state of their circuit: open, probing, recovering.",
    ("state",),
    registry=REGISTRY,
)
ERRANDS = Gauge(
    "coordhub_open_errands",
    "Errands that wait for somebody, by kind.",
    ("kind",),
    registry=REGISTRY,
)
PAUSED = Gauge(
    "coordhub_sending_paused",
    "1 while nothing is sent to partners (`coordhub sending status`).",
    registry=REGISTRY,
)
VIOLATIONS = Gauge(
    "coordhub_invariants_violated",
    "What must be true of the database and was not at the last check; none but 0 is right.",
    registry=REGISTRY,
)

_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_LONGEST = 512

_logger = logging.getLogger("coordhub")
_request: ContextVar[str | None] = ContextVar("coordhub_request", default=None)


def configure(level: str = "info", stream: TextIO | None = None) -> None:
    """Write lines of at least `level` to `stream` (standard error); a second call replaces it.

    Of what libraries log only logger, level and the exception's type and place are written: their
    messages may quote data.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_Line())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(max(_LEVELS[level], logging.WARNING))
    _logger.setLevel(_LEVELS[level])


@cache
def _counted(interaction: str, status: int) -> tuple[Counter, Histogram]:
    return REQUESTS.labels(interaction, str(status)), SECONDS.labels(interaction)


def count_request(interaction: str, status: int, seconds: float) -> None:
    """One more request that was answered, and how long it took."""
    requests, took = _counted(interaction, status)
    requests.inc()
    took.observe(seconds)


def log(event: str, *, level: str = "info", **fields: Field) -> None:
    """One line: time, event, the request it belongs to, and `fields` that are not None.

    Text is cut at 512 characters: an id is never that long.
    """
    number = _LEVELS[level]
    if _logger.isEnabledFor(number):
        _logger.handle(_Event(number, event, fields))


@contextmanager
def request(identifier: str) -> Iterator[None]:
    """Lines written inside, also by tasks started inside, carry this request id."""
    token = _request.set(identifier)
    try:
        yield
    finally:
        _request.reset(token)


def request_id() -> str | None:
    return _request.get()


def metrics() -> bytes:
    """All counters in Prometheus' text format."""
    return generate_latest(REGISTRY)


def serve_metrics(host: str, port: int) -> None:
    """Answer all counters to whoever asks at this address, from a thread of its own."""
    start_http_server(port, host, REGISTRY)


def _innermost(trace: TracebackType | None) -> str | None:
    """File and line where an exception arose: all of a traceback that holds no content."""
    if trace is None:
        return None
    while trace.tb_next is not None:
        trace = trace.tb_next
    return f"{PurePath(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"


_USUAL: Final = logging.makeLogRecord({"name": _logger.name, "coordhub": None}).__dict__


class _Event(logging.LogRecord):
    """A record of ours: it says what happened, not where in the code, which costs more to find than to write."""

    def __init__(self, number: int, event: str, fields: dict[str, Field]) -> None:
        now = time.time()
        self.__dict__.update(
            _USUAL,
            levelno=number,
            levelname=logging.getLevelName(number),
            msg=event,
            created=now,
            msecs=int(now % 1 * 1000) + 0.0,
            coordhub=fields,
        )


class _Line(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Field] = {
            "at": f"{_second(int(record.created))}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
        }
        fields: dict[str, Field] | None = getattr(record, "coordhub", None)
        if fields is None:
            line |= {"event": "library.logged", "logger": record.name, "line": record.lineno}
        else:
            line["event"] = record.getMessage()
            line |= {name: value for name, value in fields.items() if value is not None}
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = record.exc_info[0].__name__
            line["where"] = _innermost(record.exc_info[2])
        current = _request.get()
        if current is not None:
            line.setdefault("request", current)
        for name, value in line.items():
            if isinstance(value, str):
                line[name] = value[:_LONGEST]
        return _encoder.encode(line)


_encoder: Final = json.JSONEncoder(ensure_ascii=True, default=str)


@lru_cache(4)
def _second(number: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(number))
