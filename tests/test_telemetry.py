"""Log lines as they are written, and what they must not hold."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from coordhub import telemetry


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    written = io.StringIO()
    telemetry.configure("info", written)
    yield written
    root.handlers, root.level = handlers, level


def _lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_given_an_event_when_logged_then_one_line_holds_its_fields_and_the_request(
    stream: io.StringIO,
) -> None:
    with telemetry.request("r-1"):
        telemetry.log("delivery.attempted", delivery=7, result="again", endpoint=None)
    telemetry.log("worker.stopped")
    first, second = _lines(stream)
    assert first.pop("at")
    assert first == {
        "level": "info",
        "event": "delivery.attempted",
        "delivery": 7,
        "result": "again",
        "request": "r-1",
    }
    assert "request" not in second


def test_given_a_lower_level_when_logged_then_nothing_is_written(stream: io.StringIO) -> None:
    telemetry.log("row.read", level="debug")
    assert _lines(stream) == []


def test_given_a_library_that_quotes_data_when_it_logs_then_only_who_and_where_is_written(
    stream: io.StringIO,
) -> None:
    try:
        raise ValueError("quoted-name")
    except ValueError:
        logging.getLogger("library").exception("cannot read %s", "quoted-name")
    assert "quoted-name" not in stream.getvalue()
    (line,) = _lines(stream)
    assert line["logger"] == "library"
    assert line["exception"] == "ValueError"
    assert str(line["where"]).startswith("test_telemetry.py:")


def test_given_a_line_break_or_long_text_when_logged_then_it_stays_one_short_line(
    stream: io.StringIO,
) -> None:
    telemetry.log("entry.failed", at="a\nb" + "c" * 10_000)
    (line,) = stream.getvalue().splitlines()
    assert len(line) < 700


def test_given_a_counter_when_raised_then_the_metrics_show_it() -> None:
    telemetry.REQUESTS.labels("read", "200").inc()
    assert b'coordhub_requests_total{interaction="read",status="200"}' in telemetry.metrics()
