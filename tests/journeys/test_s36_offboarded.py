"""S36: an organization leaves. Its data goes with it, and nobody who was referred to it is left waiting."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from open_hub import House, opened, patient
from typer.testing import CliRunner

from coordhub.cli import cli
from coordhub.record.operations import Update
from coordhub.store import invariants


async def test_s36_given_an_organization_at_work_when_it_leaves_then_its_work_goes_to_others(
    database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with opened(database_url) as house:
        kitchen, pantry, clinic = house.kitchen, house.pantry, house.clinic
        endpoint = await with_endpoint(house)
        # Given one referral that the kitchen is at work on, one that it was asked beside the pantry, and one that
        # it sent itself
        at_work = await house.asking(kitchen.service, pantry.service)
        await at_work.answer(kitchen, "accepted")
        await at_work.answer(kitchen, "in-progress")
        beside = await house.asking(kitchen.service, pantry.service)
        await house.create(kitchen, patient("7"))
        sent = await house.asking(pantry.service, who=kitchen)
        waiting = "select count(*) from delivery where organization = $1 and state = 'queued'"
        assert await house.value(waiting, kitchen.rid) > 0

        # When it leaves
        monkeypatch.setenv("DATABASE_URL", house.url)
        monkeypatch.setenv("COORDHUB_BASE_URL", house.hub.base)
        file = tmp_path / "kitchen.ndjson"
        words = ["offboard", kitchen.reference, "--reason", "contract ended", "--out"]
        done = await asyncio.to_thread(CliRunner().invoke, cli, [*words, str(file), "--withdraw"])
        assert done.exit_code == 0, done.output

        # Then its data is its own, in a file that nobody else reads
        written = [json.loads(line) for line in file.read_text().splitlines()]
        assert file.stat().st_mode & 0o777 == 0o600
        assert {f"{one['resourceType']}/{one['id']}" for one in written} >= {
            sent.patient, sent.request, sent.task,
        }  # fmt: skip
        assert at_work.patient not in str(written), "what others wrote stays with them"

        # And it is reached, found and let in no more
        assert (await house.document(endpoint))["status"] == "off"
        assert (await house.document(kitchen.service))["active"] is False
        assert await house.value("select active from client where id = 'kitchen'") is False
        assert await house.value(waiting, kitchen.rid) == 0
        withheld = (
            "select distinct reason from delivery where organization = $1 and state = 'suppressed'"
        )
        assert ("the organization has left",) in await house.rows(withheld, kitchen.rid)

        # And what it was asked has ended, for its reason; the pantry goes on where it was asked, too
        await house.relay()
        for referral, status in ((at_work, "failed"), (beside, "cancelled")):
            task = await house.document((await referral.tasks())["kitchen"])
            assert (task["status"], task["statusReason"]["text"]) == (
                status,
                "has left this exchange",
            )
        assert (await house.document((await beside.tasks())["pantry"]))["status"] == "requested"
        assert await beside.status() not in ("failed", "cancelled", "rejected")
        # who referred has the next step where nobody else is left
        ended = await at_work.status()
        looked_for = await house.value(
            "select count(*) from errand where closed_at is null and owner = $1", clinic.rid
        )
        assert ended in ("failed", "rejected") or looked_for > 0

        # And what it sent is withdrawn, of which the pantry is told
        assert await sent.status() == "cancelled"
        assert (await house.document((await sent.tasks())["pantry"]))["status"] == "cancelled"

        # And all of it is in the audit, a second time does nothing more, and what must be true is
        acts = await house.rows(
            "select interaction, query from audit where interaction in ('offboarded', 'export') order by seq"
        )
        assert [name for name, _ in acts] == ["export", "offboarded"]
        assert "contract+ended" in acts[1][1]
        again = await asyncio.to_thread(
            CliRunner().invoke, cli, [*words, str(tmp_path / "again.ndjson")]
        )
        _, *lines = again.output.splitlines()
        assert [line for line in lines if "not sent" not in line] == []
        async with house.engine.pool.acquire() as conn:
            assert await invariants.violations_alone(conn, house.hub.clock()) == []
        unknown = await asyncio.to_thread(
            CliRunner().invoke,
            cli,
            ["offboard", "Organization/none", "--reason", "x", "--out", str(tmp_path / "x")],
        )
        assert (unknown.exit_code, "there is no Organization/none" in unknown.output) == (1, True)


async def with_endpoint(house: House) -> str:
    """The kitchen's service has a server; `Endpoint/id`."""
    document: dict[str, Any] = {
        "resourceType": "Endpoint",
        "status": "active",
        "connectionType": {"code": "hl7-fhir-rest"},
        "managingOrganization": {"reference": house.kitchen.reference},
        "payloadType": [{"text": "any"}],
        "address": "https://kitchen.example/fhir",
    }
    made = await house.create(house.steward, document)
    service = {
        **await house.document(house.kitchen.service),
        "endpoint": [{"reference": made.reference}],
    }
    await house.commit(house.steward, Update("HealthcareService", service["id"], service))
    return made.reference
