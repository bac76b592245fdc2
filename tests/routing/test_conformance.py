"""The check list against partners on loopback: a good one, and those that are wrong in one way each."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import httpx2
import pytest
from certificates import certificate
from joserfc.jwk import ECKey
from open_door import key_server
from open_hub import House, patient

from coordhub.access.caller import Caller
from coordhub.access.scopes import EVERYTHING
from coordhub.admin import checking, exchanging, onboarding
from coordhub.admin.acts import NothingDone, Operator
from coordhub.admin.onboarding import Registration, server_of
from coordhub.admin.registering import Keys
from coordhub.outbound.client import Outbound, Timeouts, trusting
from coordhub.record.operations import Create
from coordhub.routing import conformance
from coordhub.routing.conformance import items
from coordhub.sandbox import simulator
from coordhub.store import audit
from coordhub.store import onboarding as store
from coordhub.store.onboarding import Item, Report
from coordhub.store.transact import AuditRow

ROSA, OMAR = Operator("rosa"), Operator("operator:omar")
LOOPBACK = (ip_network("127.0.0.0/8"),)
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


def key(kid: str = "one") -> dict[str, Any]:
    return dict(ECKey.generate_key("P-384", {"kid": kid}).as_dict(private=False))


@dataclass(frozen=True, slots=True)
class Played:
    """A partner whose server the simulator plays. trust: authorities beside the public ones."""

    house: House
    root: str
    trust: Path | None

    async def register(self, client: str = "ehr", **given: Any) -> None:
        house = self.house
        keys = given.pop("keys", Keys(jwks=json.dumps({"keys": [key()]})))
        server = given.pop("server", server_of(f"{self.root}/partners/{client}/fhir"))
        asked = Registration(client, house.clinic.reference, keys, server=server, **given)
        await onboarding.register(house.hub, ROSA, asked)

    async def behaves(self, *habits: dict[str, Any], client: str = "ehr") -> None:
        verify = trusting(self.trust) if self.trust else True
        async with httpx2.AsyncClient(verify=verify) as http:
            await http.put(f"{self.root}/partners/{client}/behaviour", json=list(habits))

    async def look(
        self, client: str = "ehr", sample: bytes | None = None, wait: float = 30.0
    ) -> Report:
        seconds = timedelta(seconds=wait)
        outbound = Outbound(
            allowed_networks=LOOPBACK,
            timeouts=Timeouts(seconds, seconds, seconds),
            tls=trusting(self.trust) if self.trust else None,
        )
        async with outbound:

            async def look(*given: Any) -> Any:
                hub, *rest = given
                return await conformance.check(hub, outbound, *rest)

            return await checking.check(self.house.hub, ROSA, client, look, sample)

    async def found(self, **given: Any) -> dict[str, Item]:
        return {one.name: one for one in (await self.look(**given)).items}


@asynccontextmanager
async def played(house: House, pair: tuple[Path, Path] | None = None) -> AsyncIterator[Played]:
    async with simulator.serving("127.0.0.1", 0, certificate=pair) as root:
        yield Played(house, root, pair[0] if pair else None)


async def act(house: House, client: str) -> None:
    """As a client that gets its token and sends a patient of nobody's, with a number."""
    async with house.engine.pool.acquire() as conn:
        found = await store.read(conn, client)
    assert found is not None
    me = Caller(client, found.sandbox, "Organization/sandbox", EVERYTHING, sandbox=True)
    await house.commit(me, Create("Patient", patient()), key="k1")
    async with house.engine.transaction() as conn:
        for act, status in (("token-granted", 200), ("transaction", 422), ("transaction", 200)):
            await audit.append(conn, AuditRow(client, found.sandbox, act, status), house.clock())


async def test_given_a_partner_with_all_in_order_when_checked_then_everything_is_passed_and_a_second_person_approves(
    house: House, tmp_path: Path
) -> None:
    pair = certificate(tmp_path, "127.0.0.1", valid=timedelta(days=90))
    async with played(house, pair) as partner, key_server(key("one"), key("two")) as kept:
        where = f"{partner.root}/partners/ehr/fhir"
        await partner.register(
            keys=Keys(jwks_uri=kept.address), server=server_of(where, ["Authorization: Bearer x"])
        )
        await partner.behaves({"mode": "guarded"}, {"mode": "guarded", "of": "read"})
        await act(house, "ehr")
        report = await partner.look(sample=json.dumps(patient()).encode())
        assert {one.name: one.result for one in report.items if one.result != "passed"} == {}
        assert {one.name for one in report.items} == {
            "reachable", "tls", "clock", "capabilities", "authentication", "takes", "once",
            "acknowledgement", "keys", "rotation", "token", "sends", "safe retries", "sample",
        }  # fmt: skip
        for who in (ROSA, Operator("operator:Rosa ")):
            with pytest.raises(NothingDone, match="another person"):
                await checking.approve(house.hub, who, "ehr")
        house.clock.ahead += timedelta(days=15)
        with pytest.raises(NothingDone, match="older than 14 days"):
            await checking.approve(house.hub, OMAR, "ehr")
        house.clock.ahead -= timedelta(days=15)
        standing = await checking.approve(house.hub, OMAR, "ehr")
        assert (standing.state, standing.approved_by) == ("approved", "operator:omar")
        assert (
            await house.value("select organization from client where id = 'ehr'")
            == house.clinic.rid
        )
        with pytest.raises(NothingDone, match="nothing to approve"):
            await checking.approve(house.hub, OMAR, "ehr")
    [(said,)] = await house.rows("select query from audit where interaction = 'partner-approved'")
    assert said == "by=operator%3Aomar&client=ehr"


WRONG: list[tuple[list[dict[str, Any]], str, str]] = [
    ([{"mode": "doubles"}], "once", "2 times"),
    ([{"mode": "error"}], "takes", "500"),
    ([{"mode": "reject"}], "takes", "422"),
    ([{"mode": "garbage"}], "takes", "no transaction-response"),
    ([{"mode": "lost"}], "takes", "hangs up"),
    ([{"mode": "slow", "delay_ms": 600_000}], "takes", "not answer in time"),
    ([{"mode": "ok", "until_count": 1}, {"mode": "error"}], "once", "500"),
    ([{"mode": "guarded", "of": "read"}], "authentication", "does not let the hub in"),
]


async def test_given_partners_that_are_wrong_in_one_way_when_checked_then_that_is_said_and_nobody_approves_by_it(
    house: House,
) -> None:
    async with played(house) as partner:
        for number, (habits, name, said) in enumerate(WRONG):
            client = f"ehr{number}"
            await partner.register(
                client, server=server_of(f"{partner.root}/partners/{client}/fhir")
            )
            if name == "once" and said == "2 times":
                await exchanging.agree(house.engine, ROSA, house.clinic.reference, own_ids=True)
            await partner.behaves(*habits, client=client)
            report = await partner.look(client, wait=4.0 if "slow" in str(habits) else 30.0)
            found = {one.name: one for one in report.items}
            failed = [one.name for one in report.items if one.result == "failed"]
            assert failed == [name], (habits, report.items)
            assert said in found[name].found
            assert found[name].next
            assert found["tls"].result == "not tried"
            await exchanging.agree(house.engine, ROSA, house.clinic.reference, own_ids=False)
        with pytest.raises(NothingDone, match="1 items of the last report were failed"):
            await checking.approve(house.hub, OMAR, "ehr0")
        spite = await checking.approve(house.hub, OMAR, "ehr0", in_spite="read before each repeat")
        assert (spite.state, spite.reason) == ("approved", "read before each repeat")
        await partner.register("unseen")
        with pytest.raises(NothingDone, match="was not checked yet"):
            await checking.approve(house.hub, OMAR, "unseen")


async def test_given_certificates_and_places_that_are_wrong_when_checked_then_it_says_which_way(
    house: House, tmp_path: Path
) -> None:
    ending = certificate(tmp_path, "127.0.0.1", valid=timedelta(days=5))
    async with played(house, ending) as partner:
        await partner.register()
        found = await partner.found()
        assert (found["tls"].result, "only until" in found["tls"].found) == ("failed", True)
        stranger = Played(house, partner.root, None)
        found = await stranger.found()
        assert [found[name].result for name in ("reachable", "tls", "takes")] == [
            "failed", "failed", "not tried",
        ]  # fmt: skip
        assert "certificate proves nothing" in found["tls"].found
    found = await partner.found()
    assert "Nothing listens" in found["reachable"].found
    await partner.register("inside", server=server_of("http://10.1.2.3/fhir"))
    assert "none that the hub may call" in (await partner.found(client="inside"))["reachable"].found
    await partner.register("light", server=None)
    found = await partner.found(client="light", sample=b'{"resourceType": "Task"}')
    assert {found[name].result for name in ("reachable", "takes", "token", "sends")} == {
        "not tried"
    }
    assert (found["sample"].result, "Task.status" in found["sample"].found) == ("failed", True)
    assert (
        "no resource" in (await partner.found(client="light", sample=b'{"a": 1}'))["sample"].found
    )
    assert "cannot be read" in (await partner.found(client="light", sample=b"{"))["sample"].found


async def test_given_a_set_of_keys_when_changed_between_two_reports_then_rotation_is_passed(
    house: House,
) -> None:
    async with played(house) as partner, key_server(key("one")) as kept:
        await partner.register(keys=Keys(jwks_uri=kept.address))
        found = await partner.found()
        assert (found["keys"].result, found["rotation"].result) == ("passed", "not tried")
        kept.keys = [key("next")]
        assert (await partner.found())["rotation"].result == "passed"
        kept.keys = []
        assert (await partner.found())["keys"].result == "failed"
        kept.status = "500 Broken"
        assert "500" in (await partner.found())["keys"].found


@pytest.mark.parametrize(
    ("item", "result"),
    [
        (items.certificate("https://a.example", NOW + timedelta(days=30), NOW), "passed"),
        (items.certificate("https://a.example", NOW + timedelta(days=13), NOW), "failed"),
        (items.certificate("https://a.example", None, NOW), "not tried"),
        (items.certificate("http://a.example", None, NOW), "not tried"),
        (items.clock(format_datetime(NOW), NOW, timedelta()), "passed"),
        (items.clock(format_datetime(NOW - timedelta(seconds=33)), NOW, timedelta()), "failed"),
        (items.clock(format_datetime(NOW + timedelta(seconds=33)), NOW, timedelta()), "failed"),
        (items.clock(format_datetime(NOW - timedelta(seconds=33)), NOW, timedelta(seconds=9)), "passed"),
        (items.clock("yesterday", NOW, timedelta()), "not tried"),
        (items.clock(None, NOW, timedelta()), "not tried"),
        (items.clock("Mon, 02 Mar 2026 09:00:00", NOW, timedelta()), "not tried"),
        (items.acknowledged([0.1, 4.9]), "passed"),
        (items.acknowledged([0.1, 5.1]), "failed"),
        (items.acknowledged([]), "not tried"),
        (items.capabilities({}), "failed"),
        (items.capabilities({"fhirVersion": "4.0.1", "format": "json", "rest": {}}), "failed"),
        (
            items.capabilities(
                {"fhirVersion": "4.0.1", "format": ["json"], "rest": [{"mode": "server"}]}
            ),
            "failed",
        ),
    ],
)  # fmt: skip
def test_given_what_was_measured_when_judged_then_so(item: Item, result: str) -> None:
    assert item.result == result
    assert item.found
    assert item.next or result != "failed"
