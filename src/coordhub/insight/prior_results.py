"""What a viewer may know of a person that answers a question: found, weighed by `priors`, with who has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any, Protocol

from coordhub.insight import priors
from coordhub.insight.priors import Pending, Result, Trend
from coordhub.insight.same_question import Question
from coordhub.r4 import document as fhir_json
from coordhub.r4 import reference
from coordhub.store import people, resources
from coordhub.store import priors as stored
from coordhub.store.engine import Connection
from coordhub.store.resources import Version
from coordhub.store.visibility import EVERYONE, Viewer

Document = Mapping[str, Any]


class Told(Protocol):
    """Something of a record that is told of."""

    @property
    def version(self) -> Version: ...

    @property
    def document(self) -> Document: ...


@dataclass(frozen=True, slots=True)
class Priors:
    """results, pending: newest first. holders: name of who made a result or wrote an order, by its rid."""

    question: Question
    results: list[Result]
    pending: list[Pending]
    trend: Trend | None
    holders: Mapping[int, str]

    @property
    def rids(self) -> tuple[int, ...]:
        """What is shown by telling all of it."""
        found = [one.version.rid for one in self.results]
        return tuple(dict.fromkeys([*found, *(one.version.rid for one in self.pending)]))


async def found(
    conn: Connection,
    viewer: Viewer,
    patient: int,
    question: Question,
    *,
    base: str,
    now: datetime,
    zone: tzinfo = UTC,
    itself: int | None = None,
) -> Priors:
    """Of the person who is this Patient (rid). itself: rid of the order, where it is stored; that does not count."""
    whose = await people.same(conn, viewer, patient)
    return await of_records(
        conn, viewer, whose, question, base=base, now=now, zone=zone, itself=itself
    )


async def of_records(
    conn: Connection,
    viewer: Viewer,
    whose: Sequence[int],
    question: Question,
    *,
    base: str,
    now: datetime,
    zone: tzinfo = UTC,
    itself: int | None = None,
) -> Priors:
    """The same of these Patients (rids), who are one person."""
    candidates = await stored.candidates(conn, viewer, whose, question.answers)
    ordered = priors.orders(question, candidates, patients=whose)
    ordered = [one for one in ordered if one.rid != itself]
    tasks = await stored.tasks_of(conn, viewer, [one.rid for one in ordered]) if ordered else []
    results = priors.results(
        question, candidates, patients=whose, now=now, zone=zone, base=base,
        rejected=await rejected(conn, viewer, candidates, base),
    )  # fmt: skip
    pending = priors.pending(question, ordered, tasks, candidates, now=now, zone=zone, base=base)
    by = await holders(conn, viewer, [*results, *pending], base)
    return Priors(question, results, pending, priors.trend(results), by)


async def rejected(
    conn: Connection, viewer: Viewer, candidates: Sequence[Version], base: str
) -> set[str]:
    """`Specimen/id` of those that these are of and that were no good."""
    named = sorted(priors.specimens(candidates, base))
    if not named:
        return set()
    pairs = [("Specimen", text.partition("/")[2]) for text in named]
    known = await resources.read_names(conn, viewer, pairs)
    return {
        version.reference
        for version in known.values()
        if version.body is not None
        and priors.is_bad_specimen(fhir_json.parse(version.body.encode()))
    }


async def holders(
    conn: Connection, viewer: Viewer, told: Sequence[Told], base: str
) -> dict[int, str]:
    """Who has made each of these, by its rid: as it says, or as the directory calls the organization that wrote it."""
    if not told:
        return {}
    named = {one.version.rid: _makers(one.document) for one in told}
    pairs = {pair for makers in named.values() for maker in makers if (pair := _local(maker, base))}
    known = await resources.read_names(conn, viewer, sorted(pairs)) if pairs else {}
    found: dict[int, str] = {}
    for one in told:
        makers = sorted(named[one.version.rid], key=lambda maker: not _is_organization(maker, base))
        said = [_called(maker, known, base) for maker in makers]
        found[one.version.rid] = next((text for text in said if text), "")
    unsaid = [one.version for one in told if not found[one.version.rid]]
    wanted = sorted({version.source for version in unsaid})
    sources = await resources.read_rids(conn, EVERYONE, wanted) if wanted else {}
    for version in unsaid:
        if version.source in sources:
            found[version.rid] = _name(sources[version.source])
    return {rid: name for rid, name in found.items() if name}


def _makers(document: Document) -> list[Document]:
    made = None if "Request" in str(document.get("resourceType")) else document.get("performer")
    for name in ("author", "informationSource", "recorder", "asserter", "requester"):
        made = made or document.get(name)
    made = made or []
    return [one for one in (made if isinstance(made, list) else [made]) if isinstance(one, Mapping)]


def _local(element: Document, base: str) -> tuple[str, str] | None:
    found = reference.parse_element(element, base=base)
    if found is None or found.kind != "local" or found.type is None or found.id is None:
        return None
    return found.type, found.id


def _is_organization(element: Document, base: str) -> bool:
    found = reference.parse_element(element, base=base)
    return found is not None and found.type == "Organization"


def _called(element: Document, known: Mapping[tuple[str, str], Version], base: str) -> str:
    pair = _local(element, base)
    if pair is not None and pair in known and (name := _name(known[pair])):
        return name
    return str(element.get("display") or "")


def _name(version: Version) -> str:
    if version.body is None:
        return ""
    name = fhir_json.parse(version.body.encode()).get("name")
    if isinstance(name, str):
        return name
    first: Document = next(iter(name or ()), {})
    words = [*first.get("prefix", ()), *first.get("given", ()), first.get("family", "")]
    return str(first.get("text") or " ".join(word for word in words if word))
