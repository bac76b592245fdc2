"""One trace from the request that came in to the partner's answer, and no content in it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx2
import msgspec
import pytest
from open_hub import patient, service_request, task
from open_post import Post
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import SecretStr

from coordhub import tracing
from coordhub.access.token import Tokens
from coordhub.app import build
from coordhub.settings import Settings

KEY = "a test key that is long enough for it"
TRACE = "0af7651916cd43dd8448eb211c80319c"
CANARY = re.compile(r"Water|Ada|\bfood\b|urn:test:mrn")


@pytest.fixture
async def spans() -> AsyncIterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.begin(provider)
    yield exporter
    tracing.begin(None)


async def refer(post: Post) -> None:
    """The clinic's Bundle comes over HTTP, with the traceparent of its own system."""
    house = post.house
    app = build(Settings.model_validate({"token_key": SecretStr(KEY)}), house.hub)
    token = Tokens(KEY.encode(), house.engine, house.clock).issue(
        "clinic", "system/*.cruds", now=house.clock(), lifetime=timedelta(hours=1)
    )
    who, order = "urn:uuid:p", "urn:uuid:o"
    documents = {
        who: patient(),
        order: service_request(who, house.clinic.reference, house.kitchen.service),
        "urn:uuid:t": task(order, who, house.clinic.reference),
    }
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {
                "fullUrl": url,
                "resource": one,
                "request": {"method": "POST", "url": one["resourceType"]},
            }
            for url, one in documents.items()
        ],
    }
    headers = {
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/fhir+json",
        "traceparent": f"00-{TRACE}-b7ad6b7169203331-01",
    }
    async with app.router.lifespan_context(app):
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://hub.example") as http:
            done = await http.post("/fhir", content=msgspec.json.encode(bundle), headers=headers)
            assert done.status_code == 200, done.text
            missing = await http.get("/fhir/Patient?name=Water&_nonsense=Ada", headers=headers)
            assert missing.status_code == 400


async def test_given_a_traced_request_when_its_partner_has_answered_then_it_is_one_trace_without_content(
    post: Post, spans: InMemorySpanExporter
) -> None:
    await refer(post)
    await post.house.relay()
    assert await post.deliver() >= 1
    done = spans.get_finished_spans()
    named: dict[str, Any] = {one.name: one for one in done}
    assert {"POST /fhir", "transact", "relay", "deliver", "POST"} <= set(named)
    of_the_referral = [one for one in done if one.context.trace_id == int(TRACE, 16)]
    assert {"POST /fhir", "transact", "relay", "deliver", "POST"} <= {
        one.name for one in of_the_referral
    }
    sent = named["POST"]
    assert sent.attributes["http.response.status_code"] == 200
    assert sent.parent.span_id in {one.context.span_id for one in done if one.name == "deliver"}
    assert "delivered" in {
        one.attributes.get("coordhub.state") for one in done if one.name == "deliver"
    }
    # the partner has a trace of its own, which ours knows
    head = post.partner.heads[-1]
    told = re.search(r"traceparent: 00-([0-9a-f]{32})-([0-9a-f]{16})-01", head)
    assert told is not None
    assert told[1] != TRACE
    assert int(told[1], 16) in {link.context.trace_id for one in done for link in one.links}
    for one in done:
        assert CANARY.search(one.to_json()) is None


async def test_given_a_fault_whose_words_quote_a_patient_when_traced_then_only_its_type_is(
    spans: InMemorySpanExporter,
) -> None:
    with pytest.raises(ValueError), tracing.span("deliver"):
        raise ValueError("Ada Water has no number")
    [one] = spans.get_finished_spans()
    assert one.attributes == {"error.type": "ValueError"}
    assert "Water" not in one.to_json()


async def test_given_no_tracing_when_a_referral_goes_its_way_then_nothing_of_it_is_kept_or_sent(
    post: Post,
) -> None:
    await refer(post)
    await post.house.relay()
    await post.deliver()
    assert await post.house.value("select count(*) from trace") == 0
    assert "traceparent" not in post.partner.heads[-1]
    assert tracing.span("a") is tracing.span("b"), "one and the same that does nothing"
