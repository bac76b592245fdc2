"""What is read of a partner's server: each once, down to some levels, and nothing of another's."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

from coordhub.routing import gather
from coordhub.routing.channels.channel import Found, Reading, Refused, Unchanged

BASE = "https://ehr.example/fhir"

Document = dict[str, Any]


class Server:
    """What is there by `Type/id`, what was asked of it, and how much at once."""

    def __init__(self, **resources: Document) -> None:
        self.resources = {
            f"{one['resourceType']}/{name}": {**one, "id": name} for name, one in resources.items()
        }
        self.asked: list[tuple[str, str | None]] = []
        self.most = self._now = 0

    async def read(self, path: str, seen: str | None) -> Reading:
        self.asked.append((path, seen))
        self._now += 1
        self.most = max(self.most, self._now)
        await asyncio.sleep(0)
        self._now -= 1
        if seen == "same":
            return Unchanged()
        name = path.partition("/_history/")[0]
        if name not in self.resources:
            return Refused(404, "gone", None, "status 404")
        return Found(self.resources[name], None)

    async def gathered(
        self, *roots: str, known: Collection[str] = (), seen: str | None = None, **task: Any
    ) -> gather.Gathered:
        async def of_hub(_: Collection[str]) -> Collection[str]:
            return known

        documents = [{"resourceType": "Task", **task}] if task else []
        paths = {root.partition("/_history/")[0]: root for root in roots}
        return await gather.gather(self.read, documents, paths, BASE, of_hub, seen)


def _to(text: str) -> Document:
    return {"reference": text}


def _order(*supporting: str, **elements: Any) -> Document:
    return {
        "resourceType": "ServiceRequest",
        "supportingInfo": [_to(text) for text in supporting],
        **elements,
    }


async def test_given_references_of_every_form_when_gathered_then_those_below_the_base_are_read() -> (
    None
):
    server = Server(
        o=_order(
            "Observation/a", f"{BASE}/Observation/b", "https://other.example/fhir/Observation/c",
            "#contained", "urn:uuid:0c0a7c1e-7a2b-4b68-9d4e-0a8b1ddc4c11", "Observation?code=1",
            subject=_to("Patient/p"), insurance=[_to("Coverage/k")],
            locationReference=[_to("Location/not-followed")],
        ),
        a={"resourceType": "Observation", "hasMember": [_to("Observation/b")]},
        b={"resourceType": "Observation", "encounter": _to("Encounter/not-followed")},
        p={"resourceType": "Patient"},
        k={"resourceType": "Coverage", "beneficiary": _to("Patient/p")},
    )  # fmt: skip
    found = await server.gathered("ServiceRequest/o")
    names = {"ServiceRequest/o", "Observation/a", "Observation/b", "Patient/p", "Coverage/k"}
    assert set(found.found) == names
    assert sorted(path for path, _ in server.asked) == sorted(names), "each once"
    assert found.whole


async def test_given_a_circle_when_gathered_then_it_ends() -> None:
    a = {"resourceType": "Observation", "hasMember": [_to("Observation/b")]}
    b = {"resourceType": "Observation", "hasMember": [_to("Observation/a"), _to("Observation/b")]}
    server = Server(a=a, b=b)
    assert set((await server.gathered("Observation/a")).found) == {"Observation/a", "Observation/b"}
    assert len(server.asked) == 2


async def test_given_a_long_chain_when_gathered_then_it_is_followed_some_levels() -> None:
    chain = {
        f"o{n}": {"resourceType": "Observation", "derivedFrom": [_to(f"Observation/o{n + 1}")]}
        for n in range(20)
    }
    found = await Server(**chain).gathered("Observation/o0")
    assert len(found.found) == gather.LEVELS
    assert found.whole


async def test_given_more_than_may_be_when_gathered_then_it_says_so_and_does_not_read_on() -> None:
    many = [f"Observation/o{n}" for n in range(gather.MOST)]
    server = Server(o=_order(*many))
    assert not (await server.gathered("ServiceRequest/o")).whole
    assert len(server.asked) == 1
    large = {"resourceType": "Patient", "name": [{"text": "x" * gather.MOST_BYTES}]}
    assert not (await Server(p=large).gathered("Patient/p")).whole


async def test_given_what_the_hub_has_when_gathered_then_only_the_root_is_read_all_the_same() -> (
    None
):
    server = Server(
        o=_order("Observation/a", subject=_to("Patient/p")),
        a={"resourceType": "Observation"},
        p={"resourceType": "Patient"},
    )
    known = ["ServiceRequest/o", "Patient/p"]
    found = await server.gathered("ServiceRequest/o", known=known)
    assert set(found.found) == {"ServiceRequest/o", "Observation/a"}
    assert found.own == {"Patient/p"}


async def test_given_a_tag_that_was_seen_when_gathered_then_it_is_of_the_root_alone() -> None:
    server = Server(o=_order("Observation/a"), a={"resourceType": "Observation"})
    found = await server.gathered("ServiceRequest/o", seen="same")
    assert found.unchanged == {"ServiceRequest/o"}
    await server.gathered("ServiceRequest/o", seen="older")
    assert server.asked[1:] == [("ServiceRequest/o", "older"), ("Observation/a", None)]


async def test_given_a_task_and_a_version_when_gathered_then_both_are_followed_at_that_version() -> (
    None
):
    server = Server(o=_order(subject=_to("Patient/p")), p={"resourceType": "Patient"})
    focus = f"{BASE}/ServiceRequest/o/_history/3"
    found = await server.gathered(
        "ServiceRequest/o/_history/3", focus=_to(focus), owner=_to(f"{BASE}/Organization/x")
    )
    assert ("ServiceRequest/o/_history/3", None) in server.asked
    assert set(found.found) == {"ServiceRequest/o", "Patient/p"}


async def test_given_many_when_gathered_then_only_some_at_once() -> None:
    server = Server(o=_order(*(f"Observation/o{n}" for n in range(30))))
    found = await server.gathered("ServiceRequest/o")
    assert len(found.missing) == 30
    assert server.most == gather.AT_ONCE
