"""Traces: one from the request that came in through commit, relay and delivery to the partner's answer.

https://opentelemetry.io/docs/specs/otel/trace/api/, https://www.w3.org/TR/trace-context/

Off unless `begin` was called; then a span is a shared object that does nothing, and nothing is kept. Spans hold
ids, codes and numbers, as log lines do; of an exception its type, never its words. A request's traceparent is
kept with the changes that it commits (table `trace`), and what the relay and a delivery do because of them
belongs to the same trace. A partner is sent a traceparent of its own, of one request only, which the span
links to: by a common trace two partners could tell that they were asked about the same person.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span as OtelSpan

Field: TypeAlias = str | int | float | bool | None
Kind: TypeAlias = Literal["internal", "server", "client"]

_tracer: Any = None


class Span:
    """What is under way. This one is of a hub that traces nothing."""

    def set(self, **fields: Field) -> None:
        """Fields that are not None; `http_route` is written as `http.route`."""

    def rename(self, name: str) -> None:
        pass

    def onward(self) -> Mapping[str, str]:
        """Headers for the one request that it sends."""
        return {}


_NOTHING: Final = Span()
_OFF: Final = nullcontext(_NOTHING)


class CannotTraceError(Exception):
    """The packages for it are not installed; the text says how."""


def configure(address: str, sampled: float) -> None:
    """Send spans to a collector (OTLP over HTTP) from now on. sampled: share of the traces, 0 to 1."""
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
    except ImportError as error:
        raise CannotTraceError("COORDHUB_TRACES needs: pip install 'coordhub[traces]'") from error
    # By the trace's id alone, not as the sender of a request wishes: what is sampled costs us, not it.
    provider = TracerProvider(
        sampler=TraceIdRatioBased(sampled), resource=Resource({"service.name": "coordhub"})
    )
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=address)))
    begin(provider)


def begin(provider: TracerProvider | None) -> None:
    """Trace with this from now on; None: no longer."""
    global _tracer
    _tracer = provider.get_tracer("coordhub") if provider is not None else None


def is_on() -> bool:
    return _tracer is not None


def span(
    name: str,
    *,
    kind: Kind = "internal",
    parent: str | None = None,
    others: Sequence[str] = (),
    **fields: Field,
) -> AbstractContextManager[Span]:
    """What is done inside. parent: a traceparent that it belongs to, else the span around it; others: it links to."""
    if _tracer is None:
        return _OFF
    return _span(name, kind, parent, others, fields)


def current() -> str | None:
    """The traceparent of the span around, if it is sampled."""
    if _tracer is None:
        return None
    from opentelemetry.trace import get_current_span

    context = get_current_span().get_span_context()
    if not (context.is_valid and context.trace_flags.sampled):
        return None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-01"


def note(**fields: Field) -> None:
    """Fields of the span around."""
    if _tracer is not None:
        from opentelemetry.trace import get_current_span

        _Traced(get_current_span()).set(**fields)


class _Traced(Span):
    def __init__(self, span: OtelSpan) -> None:
        self._span = span

    def set(self, **fields: Field) -> None:
        for name, value in fields.items():
            if value is not None:
                self._span.set_attribute(_dotted(name), value)

    def rename(self, name: str) -> None:
        self._span.update_name(name)

    def onward(self) -> Mapping[str, str]:
        from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
        from opentelemetry.trace import SpanContext, TraceFlags

        if not self._span.is_recording():
            return {}
        ids = RandomIdGenerator()
        trace, parent = ids.generate_trace_id(), ids.generate_span_id()
        self._span.add_link(SpanContext(trace, parent, is_remote=False, trace_flags=TraceFlags(1)))
        return {"traceparent": f"00-{trace:032x}-{parent:016x}-01"}


@contextmanager
def _span(
    name: str, kind: Kind, parent: str | None, others: Sequence[str], fields: Mapping[str, Field]
) -> Iterator[Span]:
    from opentelemetry.trace import Link, SpanKind, Status, StatusCode, get_current_span
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    def read(text: str) -> Any:
        return TraceContextTextMapPropagator().extract({"traceparent": text})

    with _tracer.start_as_current_span(
        name,
        context=read(parent) if parent is not None else None,
        kind=SpanKind[kind.upper()],
        links=[Link(get_current_span(read(one)).get_span_context()) for one in others],
        attributes={_dotted(key): value for key, value in fields.items() if value is not None},
        record_exception=False,  # its words may quote content
        set_status_on_exception=False,
    ) as made:
        try:
            yield _Traced(made)
        except BaseException as error:
            made.set_attribute("error.type", type(error).__name__)
            made.set_status(Status(StatusCode.ERROR))
            raise


def _dotted(name: str) -> str:
    """`http_route` -> `http.route`, as OpenTelemetry names it; what is ours begins with coordhub."""
    if name.startswith(("http_request_", "http_response_", "http_", "server_", "error_")):
        for first in ("http_request_", "http_response_", "http_", "server_", "error_"):
            if name.startswith(first):
                return first.replace("_", ".") + name.removeprefix(first)
    return f"coordhub.{name}"
