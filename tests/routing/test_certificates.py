"""A partner whose certificate has expired: nothing is sent to it, nor without TLS, until it is mended."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

from certificates import certificate
from open_post import Post

from coordhub.outbound.client import Outbound
from coordhub.routing import resolve
from coordhub.routing.channels.hl7_fhir_rest import HL7FhirRest


async def test_given_an_expired_certificate_when_due_then_parked_and_sent_once_it_is_renewed(
    post: Post, tmp_path: Path
) -> None:
    house = post.house
    trusted = ssl.create_default_context()
    sides = []
    for name, days in (("expired", -1), ("renewed", 30)):
        (tmp_path / name).mkdir()
        files = certificate(tmp_path / name, "127.0.0.1", valid=timedelta(days=days))
        trusted.load_verify_locations(files[0])
        sides.append(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
        sides[-1].load_cert_chain(*files)
    expired, renewed = sides
    server = await asyncio.start_server(post.partner.serve, "127.0.0.1", 0, ssl=expired)
    port = server.sockets[0].getsockname()[1]
    await post.moves_to(f"https://127.0.0.1:{port}/fhir")
    async with Outbound(allowed_networks=[ip_network("127.0.0.0/8")], tls=trusted) as outbound:
        channels = {resolve.SERVED: HL7FhirRest(outbound, house.hub.clock)}
        post = replace(post, sending=replace(post.sending, channels=channels))
        await house.asking(house.kitchen.service)
        await house.asking(house.kitchen.service)
        for _ in range(3):
            await post.deliver()
            house.clock.ahead += timedelta(minutes=5)
        states = [state for rid, state in await post.ledger() if rid == house.kitchen.rid]
        assert states == ["parked", "queued"], "the other was not tried"
        assert post.partner.bundles == []
        told = "select count(*) from audit where interaction = 'disclosure' and organization = $1"
        assert await house.value(told, house.kitchen.rid) == 0
        reason = await house.value("select reason from circuit")
        assert "SSLCertVerificationError" in reason

        server.close()
        await server.wait_closed()
        server = await asyncio.start_server(post.partner.serve, "127.0.0.1", port, ssl=renewed)
        for _ in range(2):  # the partner closes its connection, which may be noticed late
            house.clock.ahead += timedelta(minutes=15)
            await post.deliver()
    states = [state for rid, state in await post.ledger() if rid == house.kitchen.rid]
    assert states == ["delivered", "delivered"]
    assert len(set(post.partner.keys)) == 2
    server.close()
