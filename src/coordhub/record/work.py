"""One commit in the making: the drafts of what will be written, and what the rules add to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from coordhub.access.caller import Caller
from coordhub.errors import Issue
from coordhub.r4 import compartment, reference
from coordhub.r4 import document as fhir_json
from coordhub.record.hub import Hub
from coordhub.record.operations import Operation
from coordhub.referral.results import Number
from coordhub.store.engine import Begin, Connection
from coordhub.store.episodes import Episode, Errand
from coordhub.store.resources import Located, Version
from coordhub.store.transact import Batch

Document = dict[str, Any]
References = list[tuple[reference.Place, dict[str, Any]]]


@dataclass(slots=True)
class Draft:
    """A resource that this commit writes.

    operation: what asked for it; None: a rule did.
    document: with references rewritten, before id and meta are set; None: it is deleted.
    previous: the version it supersedes, None for a new resource.
    author: rid of the organization that writes this version; source: whose resource it is.
    unchanged: it equals what is stored, so that no version is made.
    labels: a bit for each sensitivity class of its content.
    keeper: rid of the victim service provider under whose key it is stored.
    episode: the referral it belongs to, so that those concerned are told.
    warnings: what is stored all the same.
    nowhere: the `Type/id` it names that lead nowhere for its writer; in the index they are addresses.
    targets: of a version that dangled, rids of what it referred to all the same; None: to all it named.
    dangling, quarantined: as in the table.
    """

    operation: Operation | None
    type: str
    id: str
    rid: int
    version: int
    author: int
    source: int
    document: dict[str, Any] | None
    previous: Version | None = None
    assigned: bool = False
    patient: int | None = None
    labels: int = 0
    keeper: int | None = None
    episode: int | None = None
    unchanged: bool = False
    at: str = ""
    body: str | None = None
    warnings: list[Issue] = field(default_factory=list)
    nowhere: set[str] = field(default_factory=set)
    targets: set[int] | None = None
    dangling: bool = False
    quarantined: bool = False
    _before: dict[str, Any] | None = None

    @property
    def reference(self) -> str:
        return f"{self.type}/{self.id}"

    @property
    def op(self) -> str:
        if self.document is None:
            return "delete"
        return "create" if self.previous is None or self.previous.deleted else "update"

    def before(self) -> dict[str, Any] | None:
        """The document it supersedes, not to be changed; None if there was none."""
        if self._before is None and self.previous is not None and self.previous.body is not None:
            self._before = fhir_json.parse(self.previous.body.encode())
        return self._before

    def compare(self, sent: dict[str, Any] | None, stored: dict[str, Any] | None) -> None:
        """Set `unchanged`: whether what is sent says what is stored already."""
        if sent is not None and self.previous is not None:
            self.unchanged = _content(sent) == _content(stored or {})


def _content(document: dict[str, object]) -> bytes:
    """A document without what the hub sets, to see whether an update changes anything.

    The keys of an object have no order in JSON.
    """
    meta = document.get("meta")
    kept = {key: value for key, value in document.items() if key not in ("id", "meta")}
    if isinstance(meta, dict):
        own = {key: value for key, value in meta.items() if key not in ("versionId", "lastUpdated")}
        if own:
            kept["meta"] = own
    return fhir_json.in_order(kept)


class Match(NamedTuple):
    """A referral (rid of the sender's Task) that something is a result of, and how that was found."""

    episode: int
    how: str


@dataclass(slots=True)
class Work:
    """What rules see and add to.

    drafts: in the order of the operations, then what rules add.
    located: the resources that operations and references name, with the caller's eyes.
    episodes: the referrals they belong to, locked. held: those that the caller of this commit has locked and
        read already.
    matches: by rid of a result, the referrals that it is a result of.
    numbered: the referrals that a number of an order leads to, of those that the caller was asked with.
    one_person: by rid of a Patient that a result is about, all records that are linked as the same person's.
    of_another: results (rid) that name an order for another patient than theirs.
    copied: what was sent along with a referral (rid), is no result of it, and is corrected or deleted now.
    routed: results (rid) of which a person said by this commit which referral they are of.
    consenting: patients whose Consents are written.
    permitted: Tasks of their open referrals whose recipients may see them, before the write.
    tasks: the Tasks of a referral (its id), locked. moved: referrals whose sender's Task and needs are to
        be computed anew, once, when all drafts are there.
    deputizing: Tasks that the caller may answer for who is away.
    acts_for: the patient (rid) whom the caller, a RelatedPerson, represents.
    errands: those that are of no referral, by their Tasks.
    concluded: referral and ordinal of each need for which it turned out that nobody can be asked, and the
        code of why.
    shares: whether the sender's Task, which the hub writes, asks its owner by itself from this commit on.
    invitations: of a Task of a pool that this commit makes, by its fullUrl, the organizations that may claim it.
    invited: Tasks of pools that the caller may claim, or might have. claimed: by Task (rid) who claims it now:
        its organization, and the reference by which it does.
    chosen: Tasks (rid) whose offer a person has chosen.
    stored: what was read by rid of what this commit does not write, with the hub's own eyes.
    begin: begins the transaction that is not begun yet; None: the caller has opened it.
    apart: the victim service providers (rids), whose doings are not told.
    sensitive: classes that a rule gives a resource (rid), whatever its text says.
    unlisted: entries (rid) of the directory of which this commit takes away what must not be told.
    unlocked: the one resource that is changed need not be locked; the state it was seen in is compared by
        the statement that writes. compared: so it is done here.
    """

    hub: Hub
    conn: Connection
    caller: Caller
    now: datetime
    drafts: list[Draft] = field(default_factory=list)
    located: dict[tuple[str, str], Located] = field(default_factory=dict)
    episodes: dict[int, Episode] = field(default_factory=dict)
    matches: dict[int, list[Match]] = field(default_factory=dict)
    numbered: dict[Number, set[int]] = field(default_factory=dict)
    one_person: Mapping[int, frozenset[int]] = field(default_factory=dict)
    of_another: set[int] = field(default_factory=set)
    copied: dict[int, int] = field(default_factory=dict)
    routed: dict[int, int] = field(default_factory=dict)
    batch: Batch = field(default_factory=Batch)
    tasks: dict[int, dict[int, Version]] = field(default_factory=dict)
    moved: set[int] = field(default_factory=set)
    held: Mapping[int, Episode] = field(default_factory=dict)
    deputizing: frozenset[int] = frozenset()
    acts_for: int | None = None
    errands: dict[int, Errand] = field(default_factory=dict)
    shares: bool = False
    invitations: Mapping[str, Sequence[int]] = field(default_factory=dict)
    invited: frozenset[int] = frozenset()
    claimed: dict[int, tuple[int, str]] = field(default_factory=dict)
    chosen: set[int] = field(default_factory=set)
    concluded: dict[tuple[int, int], str] = field(default_factory=dict)
    wakes: bool = False
    apart: frozenset[int] = frozenset()
    sensitive: dict[int, int] = field(default_factory=dict)
    unlisted: set[int] = field(default_factory=set)
    consenting: frozenset[int] = frozenset()
    permitted: frozenset[int] = frozenset()
    stored: dict[int, Version] = field(default_factory=dict)
    begin: Begin | None = None
    unlocked: bool = False
    compared: bool = False

    _walked: dict[int, tuple[Document, reference.Found]] = field(default_factory=dict)
    _patients: dict[int, tuple[Document, list[str]]] = field(default_factory=dict)
    _by_reference: dict[str, Draft] = field(default_factory=dict)
    _known: int = 0

    def references_in(self, document: Document) -> References:
        """Every Reference element of a document with its place; each document is walked once."""
        return self._found(document).references

    def rewritten(self, document: Document, mapping: Mapping[str, str]) -> Document:
        """The document with its references put through `mapping`; what comes of it is not walked again."""
        if not mapping:
            return document
        changed, found = reference.rewrite_found(document, self._found(document), mapping.get)
        self._walked[id(changed)] = (changed, found)
        return changed

    def patients_in(self, document: Document) -> list[str]:
        """`Patient/x` of those whose record it is, as `compartment` says; of each document asked once."""
        known = self._patients.get(id(document))
        if known is None:
            patients = compartment.patient_references(document, base=self.hub.base)
            known = self._patients[id(document)] = (document, patients)
        return known[1]

    def _found(self, document: Document) -> reference.Found:
        known = self._walked.get(id(document))
        if known is None:
            known = self._walked[id(document)] = (document, reference.find(document))
        return known[1]

    async def hold(self) -> None:
        """Before anything is locked: begin the transaction, unless the caller has opened one."""
        self.unlocked = False
        if self.begin is not None:
            await self.begin()

    def episode_of(self, rid: int) -> Episode | None:
        """The locked referral that this Task or ServiceRequest belongs to."""
        for episode in self.episodes.values():
            if (
                rid in (episode.id, episode.request)
                or any(rid in (one.task, one.request) for one in episode.candidates)
                or any(rid == one.request for one in episode.needs)
                or any(rid == one.task for one in episode.errands)
            ):
                return episode
        return None

    def episode_named(self, reference: str) -> Episode | None:
        """The locked referral that this `Type/id` belongs to or was said about, as the caller sees it."""
        rid = self.rid_of(reference)
        if rid is not None and (found := self.episode_of(rid)) is not None:
            return found
        kind, _, fhir_id = reference.partition("/")
        located = self.located.get((kind, fhir_id))
        if located is None or not located.visible or located.episode is None:
            return None
        return self.episodes.get(located.episode)

    def errand_of(self, rid: int) -> Errand | None:
        """The errand that this Task is, of a locked referral or of none."""
        if rid in self.errands:
            return self.errands[rid]
        found = (episode.errand_of_task(rid) for episode in self.episodes.values())
        return next((errand for errand in found if errand is not None), None)

    def draft_of(self, reference: str) -> Draft | None:
        """The draft of `Type/id`, if this commit writes it; the first of them if a rule adds another."""
        for draft in self.drafts[self._known :]:
            self._by_reference.setdefault(draft.reference, draft)
        self._known = len(self.drafts)
        return self._by_reference.get(reference)

    def rid_of(self, reference: str) -> int | None:
        """rid of a local `Type/id` that this commit writes or names."""
        draft = self.draft_of(reference)
        if draft is not None:
            return draft.rid
        kind, _, fhir_id = reference.partition("/")
        found = self.located.get((kind, fhir_id))
        return None if found is None else found.rid

    def supersede(self, previous: Version, author: int, document: dict[str, Any]) -> Draft:
        """Add a version of a locked resource that a rule makes."""
        draft = Draft(
            None,
            previous.type,
            previous.id,
            previous.rid,
            previous.version + 1,
            author,
            previous.source,
            document,
            previous,
            patient=previous.patient,
        )
        self.drafts.append(draft)
        return draft
