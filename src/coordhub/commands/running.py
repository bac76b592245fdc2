"""The parts of a running hub, put together: for development mode, and for the worker alone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from coordhub.commands.wiring import token_key

if TYPE_CHECKING:
    from coordhub.record.hub import Hub
    from coordhub.sandbox.dev import Ground, Parts
    from coordhub.settings import Settings


def parts(settings: Settings) -> Parts:
    """The application and the worker for development mode, on the ground it lays."""
    from coordhub.sandbox.dev import Parts

    def given(ground: Ground) -> Settings:
        from datetime import timedelta
        from ipaddress import ip_network

        from pydantic import SecretStr

        from coordhub.sandbox import login, place

        second, half_a_minute = timedelta(seconds=1), timedelta(seconds=30)
        quick = {
            "retry_base": second,
            "retry_cap": half_a_minute,
            "probe_after": second,
            "probe_cap": half_a_minute,
        }
        sample = {
            "sign_in_issuer": ground.login,
            "sign_in_client": login.CLIENT,
            "sign_in_title": login.TITLE,
            "sign_in_by_email": True,
        }
        loopback = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
        return settings.model_copy(
            update={
                **{
                    name: wait
                    for name, wait in quick.items()
                    if name not in settings.model_fields_set
                },
                **(sample if settings.sign_in_issuer is None else {}),
                "database_url": SecretStr(ground.database_url),
                "token_key": SecretStr(ground.token_key.decode()),
                "identity_keys": settings.identity_keys or place.identity_keys(settings.home),
                "base_url": ground.base,
                "outbound_networks": (*settings.outbound_networks, *loopback),
            }
        )

    def build(ground: Ground) -> Any:
        from coordhub import app

        return app.build(given(ground), ground.hub)

    async def work(ground: Ground, stop: asyncio.Event) -> None:
        await route(given(ground), ground.hub, stop)

    return Parts(build, work)


async def route(settings: Settings, hub: Hub, stop: asyncio.Event, *, ours: bool = False) -> None:
    """The routing worker on an open hub, until `stop`. ours: its connections go where the settings say."""
    from dataclasses import replace
    from random import random

    from coordhub.app import addresses, deadlines_of
    from coordhub.outbound.client import Outbound, trusting
    from coordhub.outbound.smtp import Post
    from coordhub.routing import feeding, watch
    from coordhub.routing.breaker import BreakerPolicy
    from coordhub.routing.channels.channel import Channel
    from coordhub.routing.channels.email_notice import EmailNotice
    from coordhub.routing.channels.hl7_fhir_rest import HL7FhirRest
    from coordhub.routing.deliver import Sending
    from coordhub.routing.herald import Herald
    from coordhub.routing.mailing import Manners
    from coordhub.routing.resolve import MAILED, SERVED
    from coordhub.routing.retry import RetryPolicy
    from coordhub.routing.worker import Pace, Worker
    from coordhub.secret_files import Looking
    from coordhub.store import retention, seals

    hub = replace(hub, deadlines=deadlines_of(settings), coordinator=settings.coordinator)
    policy = RetryPolicy(settings.retry_base, settings.retry_cap, settings.retry_budget)
    breaker = BreakerPolicy(first=settings.probe_after, cap=settings.probe_cap)
    pace = Pace(settings.worker_poll, settings.delivery_lease)
    own = settings.outbound_authorities
    tls = trusting(own) if own is not None else None
    async with (
        Outbound(allowed_networks=settings.outbound_networks, tls=tls) as outbound,
        feeding.outbound(settings.outbound_networks, tls) as sources,
    ):
        channels: dict[str, Channel] = {SERVED: HL7FhirRest(outbound, hub.clock)}
        post = None
        if (relay := settings.relay()) is not None:
            post = Post(relay, authorities=settings.smtp_authorities)
            channels[MAILED] = EmailNotice(post, hub.clock)
        manners = Manners(settings.notice_every, lifetime=settings.link_lifetime)
        key = seals.sealing_key(token_key(settings) or b"")
        await _seal_by(_keys(settings), hub)

        async def go_by_new_secrets(_: list[str]) -> None:
            nonlocal key
            fresh = settings.read_again()
            if ours:
                await hub.engine.readdress(*await addresses(fresh))
            if post is not None and (relay := fresh.relay()) is not None:
                post.go_by(relay)
            key = seals.sealing_key(token_key(fresh) or b"")
            await _seal_by(_keys(fresh), hub)

        async with asyncio.TaskGroup() as group:
            secrets = group.create_task(Looking(settings.files(), go_by_new_secrets).keep())
            group.create_task(
                seals.keep_sealing(
                    hub.engine, lambda: key, settings.audit_seal_every, hub.clock, stop
                )
            )
            group.create_task(retention.keep_retaining(hub.engine, stop))
            group.create_task(watch.watch(hub, stop, budget=settings.retry_budget))
            group.create_task(feeding.keep_feeding(hub, sources, stop))
            herald = Herald(hub, outbound, settings.worker_poll, post=post)
            group.create_task(herald.run(stop))
            await Worker(Sending(hub, channels, policy, random, breaker, manners), pace).run(stop)
            secrets.cancel()


def _keys(settings: Settings) -> list[bytes]:
    """Of the hub: the one of now, and those before."""
    former = (one.get_secret_value().encode() for one in settings.former_token_keys)
    return [*filter(None, [token_key(settings)]), *former]


async def _seal_by(keys: list[bytes], hub: Hub) -> None:
    """Have what is sealed be under the first of them, so that the others may go."""
    from coordhub.store import sealed, subscription_secrets
    from coordhub.telemetry import log

    if not keys:
        return
    sealed.use(sealed.Box(keys))
    async with hub.engine.pool.acquire_at_last() as conn:
        if unreadable := await subscription_secrets.seal_anew(conn):
            log("secrets.unreadable", level="error", of="subscriptions", count=unreadable)


async def work_until_told(settings: Settings) -> None:
    """The routing worker on a database of its own pool, until SIGINT or SIGTERM."""
    import signal

    from coordhub import telemetry
    from coordhub.app import engine_of
    from coordhub.identity import weights as identity_weights
    from coordhub.insight import kits, same_question
    from coordhub.r4 import datasets
    from coordhub.record.bootstrap import open_hub
    from coordhub.referral import same_kind, strategies, weights
    from coordhub.store import vault

    if settings.metrics_port is not None:
        telemetry.serve_metrics(settings.host, settings.metrics_port)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    if settings.vsp_keys is not None:
        vault.use(vault.Vault(settings.vsp_keys))
    if settings.datasets is not None:
        datasets.use(datasets.read(settings.datasets.read_bytes()))
    if settings.identity_weights is not None:
        identity_weights.use(identity_weights.read(settings.identity_weights.read_bytes()))
    if settings.weights is not None:
        weights.use(weights.read(settings.weights.read_bytes()))
    if settings.same_kind is not None:
        same_kind.use(same_kind.read(settings.same_kind.read_bytes()))
    if settings.same_question is not None:
        same_question.use(same_question.read(settings.same_question.read_bytes()))
    if settings.kits is not None:
        kits.use(kits.read(settings.kits.read_bytes()))
    if settings.strategies is not None:
        strategies.use(strategies.read(settings.strategies.read_bytes()))
    engine = await engine_of(settings)
    try:
        await route(settings, await open_hub(engine, settings.base), stop, ours=True)
    finally:
        await engine.close()
