"""The HTTP exchanges of the demo: made, timed, kept, and shown as they were.

https://www.rfc-editor.org/rfc/rfc9110

Shown are method, address, status, the headers that matter and bodies with long lists folded.
Tokens are never kept.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import msgspec
from rich.console import Console
from rich.syntax import Syntax

from coordhub.errors import FhirError
from coordhub.outbound.client import Answer, Outbound
from coordhub.r4 import document as fhir_json

SHOWN_HEADERS = (
    "content-type",
    "if-match",
    "idempotency-key",
    "prefer",
    "etag",
    "location",
    "last-modified",
)
_LONGEST_TEXT = 90
_LONGEST_LIST = 6
_LONGEST_LINE = 140


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its answer. Bodies are documents or None; status 0: no answer came.

    milliseconds: from sending to the whole answer.
    """

    method: str
    url: str
    request_headers: dict[str, str]
    request: Any
    status: int
    headers: dict[str, str]
    answer: Any
    milliseconds: float


@dataclass(slots=True)
class Step:
    """One thing that happens. milliseconds: waiting included; note: what was found."""

    title: str
    exchanges: list[Exchange] = field(default_factory=list)
    note: str = ""
    milliseconds: float = 0.0
    attempts: int = 1


class Failed(Exception):
    """A step did not come out as it should; the text says what was expected."""


class Unanswered(Failed):
    """Nothing listens at the hub's address."""


class Speaker:
    """Makes exchanges for the demo. `heard` gets each that is worth showing."""

    def __init__(self, outbound: Outbound, heard: Callable[[Exchange], None]) -> None:
        self._outbound = outbound
        self._heard = heard

    async def say(
        self,
        method: str,
        url: str,
        token: str | None = None,
        body: Any = None,
        *,
        headers: dict[str, str] | None = None,
        quietly: bool = False,
    ) -> Exchange:
        """One exchange; quietly: made, not shown (see `show`)."""
        stated = {"Accept": "application/fhir+json", **(headers or {})}
        if body is not None:
            stated["Content-Type"] = "application/fhir+json"
        secret = {"Authorization": f"Bearer {token}"} if token else {}
        content = b"" if body is None else fhir_json.encode(body)
        result = await self._outbound.send(method, url, {**stated, **secret}, content)
        if isinstance(result, Answer):
            kept = {name: result.headers[name] for name in SHOWN_HEADERS if name in result.headers}
            made = Exchange(
                method, url, stated, body, result.status, kept, _document(result.body), 0.0
            )
        else:
            made = Exchange(method, url, stated, body, 0, {}, {"unreachable": result.kind}, 0.0)
        exchange = _timed(made, result.elapsed)
        if not quietly:
            self._heard(exchange)
        return exchange

    def show(self, exchange: Exchange) -> None:
        """Show an exchange that was made quietly."""
        self._heard(exchange)


def _timed(exchange: Exchange, seconds: float) -> Exchange:
    return Exchange(
        exchange.method,
        exchange.url,
        exchange.request_headers,
        exchange.request,
        exchange.status,
        exchange.headers,
        exchange.answer,
        round(seconds * 1000, 1),
    )


def _document(body: bytes) -> Any:
    with contextlib.suppress(FhirError):
        return fhir_json.parse(body)
    with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):
        return msgspec.json.decode(body)
    return None


def folded(value: Any) -> Any:
    """A document short enough to look at: long texts and lists cut, meta and narrative left out."""
    if isinstance(value, dict):
        return {
            name: folded(item)
            for name, item in value.items()
            if not (isinstance(item, dict) and name in {"meta", "text"})
        }
    if isinstance(value, list):
        kept = [folded(item) for item in value[:_LONGEST_LIST]]
        left = len(value) - len(kept)
        return [*kept, f"... {left} more"] if left else kept
    if isinstance(value, str) and len(value) > _LONGEST_TEXT:
        return f"{value[:_LONGEST_TEXT]}..."
    return value


def show_step(console: Console, number: int, step: Step) -> None:
    console.rule(f"[bold]{number}. {step.title}", align="left")
    for exchange in step.exchanges:
        show_exchange(console, exchange)
    if step.note:
        waited = f", asked {step.attempts} times" if step.attempts > 1 else ""
        took = f"[dim]({step.milliseconds:.0f} ms{waited})[/dim]"
        console.print(f"[green]✓[/green] {step.note} {took}\n", soft_wrap=True)


def show_exchange(console: Console, exchange: Exchange) -> None:
    console.print(
        f"[bold cyan]{exchange.method}[/bold cyan] {exchange.url}",
        highlight=False,
        soft_wrap=True,
    )
    _headers(console, exchange.request_headers)
    _body(console, exchange.request)
    colour = "green" if 200 <= exchange.status < 300 else "red"
    console.print(
        f"[bold {colour}]{exchange.status or 'no answer'}[/bold {colour}]"
        f" [dim]in {exchange.milliseconds:.1f} ms[/dim]"
    )
    _headers(console, exchange.headers)
    _body(console, exchange.answer)
    console.print()


def _headers(console: Console, headers: dict[str, str]) -> None:
    for name, value in headers.items():
        if name.lower() in SHOWN_HEADERS and name.lower() != "content-type":
            console.print(f"[dim]{name}: {value}[/dim]", highlight=False, soft_wrap=True)


def _body(console: Console, body: Any) -> None:
    if body is not None:
        colours = Syntax("", "json", theme="ansi_dark", background_color="default")
        text = colours.highlight(laid_out(folded(body), max(console.width, _LONGEST_LINE)))
        text.rstrip()
        console.print(text, soft_wrap=True)


def laid_out(value: Any, width: int, indent: str = "") -> str:
    """JSON with all that fits a line of `width` characters on one line."""
    flat = msgspec.json.format(fhir_json.encode(value), indent=0).decode()
    if len(indent) + len(flat) < width or not value or not isinstance(value, dict | list):
        return flat
    inner = f"{indent}  "
    if isinstance(value, dict):
        parts = [
            f"{fhir_json.encode(name).decode()}: {laid_out(item, width, inner)}"
            for name, item in value.items()
        ]
        return "{\n" + ",\n".join(inner + part for part in parts) + f"\n{indent}}}"
    lines = ",\n".join(inner + laid_out(item, width, inner) for item in value)
    return f"[\n{lines}\n{indent}]"


def as_document(run: str, steps: list[Step], failure: str | None) -> dict[str, Any]:
    """The whole run for a machine."""
    return {
        "run": run,
        "ok": failure is None,
        "failure": failure,
        "milliseconds": round(sum(step.milliseconds for step in steps), 1),
        "steps": [asdict(step) for step in steps],
    }
