"""What each organization may see, worked out slowly and plainly from FHIR resources alone.

It is told what is stored (every version of every resource, and who wrote it first), the deployment's
policy and the time, and shares no code with the hub. The rules, in the order in which they are asked:

1. Who wrote a resource sees it. What the directory's steward wrote, everybody sees.
2. Whom a Task of the hub asks sees that Task, its ServiceRequest and its Provenance, whatever they are
   about: trimmed to the data set of its kind of service if it does not treat; of several who are asked
   at once each sees both without the identity, until one has won.
3. The patient's Consents speak of the rest (permits without an actor, to organizations). Of the
   provisions that match, the one of the latest Consent
   decides, in it the deepest, of equals the denial. A permit counts from the organization whose Patient
   it is, and does not match what is of a sensitive class that no label on the way to it names. A denial of
   what is restricted (R) matches what is of any sensitive class: all of that is restricted.
4. Where they say nothing, who has taken a referral on from who holds the record treats the patient, and so
   does who provides care and is of a CareTeam that the holder of the record wrote: it sees the chart, save
   for what is of any sensitive class. So does the legal representative of an adult, whatever the policy is.
5. What a referral names (the patient, the order, what supports it) is shared with who is asked; what
   the asked produces, with who asked; what it names, for a time after the asked has completed it or failed.
   A denial takes that away. Of a sensitive class it is shared only
   if a Consent permits it; results are withheld only of 42 CFR Part 2.
6. By absence of a Consent 4 and 5 count with the policy opt-out for all, with by-purpose for who treats,
   with opt-in for nobody.
7. To who does not treat a Consent opens nothing that no referral named.
8. Content of a victim service provider is its own.
9. Above all Consents: a patient sees its own chart; who broke the glass sees it for an hour, 42 CFR Part 2
   only in a medical emergency; and no one who acts for a patient sees domestic violence, Consents, Provenance.
10. Above all of this: what an organization of the sandbox wrote, what the hub made of it, and that organization's
   own entries are seen by organizations of the sandbox only; these see nothing else but the directory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

Document = dict[str, Any]

WHOLE = "whole"

ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
LEVEL = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
ICD10 = "http://hl7.org/fhir/sid/icd-10-cm"
SERVICE_TYPE = "http://terminology.hl7.org/CodeSystem/service-type"

BY_CODE = {
    (ICD10, "F11.20"): "SUD", (ICD10, "B20"): "HIV", (ICD10, "F32.1"): "PSY",
    (ICD10, "A51.0"): "SEX", (ICD10, "T74.11XA"): "SDV",
}  # fmt: skip
BY_LABEL = {
    (ACT, "SUD"): "SUD", (ACT, "ETH"): "SUD", (ACT, "HIV"): "HIV", (ACT, "PSY"): "PSY",
    (ACT, "SEX"): "SEX", (ACT, "SDV"): "SDV", (LEVEL, "R"): "RESTRICTED",
    ("urn:coordhub:sensitivity", "VSP"): "VSP",
}  # fmt: skip
EVERY_CLASS = frozenset(("SUD", "HIV", "PSY", "SEX", "SDV", "VSP", "RESTRICTED"))
DERIVED_FROM = {
    "Observation": ("derivedFrom", "hasMember"), "DiagnosticReport": ("result",),
    "ServiceRequest": ("reasonReference",), "Task": ("focus", "reasonReference"),
    "Provenance": ("target",), "Procedure": ("reasonReference", "report"),
    "Condition": ("evidence",),
}  # fmt: skip
PARTS = {"DiagnosticReport": ("result",), "Observation": ("hasMember", "derivedFrom")}
DATES = {
    "Condition": ("recordedDate", "onsetDateTime"), "Observation": ("effectiveDateTime",),
    "DiagnosticReport": ("effectiveDateTime",), "Patient": ("birthDate",),
    "ServiceRequest": ("authoredOn",), "Consent": ("dateTime",),
    "Task": ("authoredOn", "lastModified"), "Provenance": ("recorded",),
}  # fmt: skip

AT_WORK = ("accepted", "in-progress", "on-hold")
OVER = ("rejected", "cancelled", "failed", "completed", "entered-in-error")
DONE = ("failed", "completed")
UNDONE = ("rejected", "cancelled", "entered-in-error")

_REQUEST = {
    "status", "intent", "doNotPerform", "priority", "category", "code", "orderDetail",
    "quantity", "subject", "occurrenceDateTime", "authoredOn", "requester", "performerType",
    "performer", "locationCode", "locationReference", "requisition", "identifier",
}  # fmt: skip
_PERSON = {"active", "name", "telecom", "address", "communication"}
_CONSENT = {"status", "scope", "category", "patient", "dateTime"}
SHOWN = {
    "food": {
        "Patient": _PERSON, "ServiceRequest": _REQUEST, "Task": None, "Consent": _CONSENT,
        "Observation": {"status", "category", "code", "subject", "effectiveDateTime", "valueQuantity"},
    },
    "social": {
        "Patient": _PERSON, "ServiceRequest": _REQUEST, "Task": None, "Consent": _CONSENT,
    },
    "blind": {
        "Task": None,
        "ServiceRequest": _REQUEST - {"subject", "requester", "identifier", "locationCode",
                                      "locationReference"},
    },
}  # fmt: skip
"""Elements of each type by data set; None: the Task that asks, which can be sent back. A household's
size is the only Observation."""
HOUSEHOLD = ("http://loinc.org", "63512-8")

_OF_REQUEST = {"_id", "status", "code", "patient", "subject", "performer", "authored", "requester"}
_OF_TASK = {"_id", "status", "patient", "subject", "focus", "part-of", "owner", "authored-on"}
_OF_PERSON = {"_id", "family", "name", "active"}
FINDS_BY = {
    "food": {"Patient": _OF_PERSON, "ServiceRequest": _OF_REQUEST, "Task": _OF_TASK,
             "Consent": {"_id", "patient", "date", "status"}, "Observation": {"_id", "patient", "subject"}},
    "social": {"Patient": _OF_PERSON, "ServiceRequest": _OF_REQUEST, "Task": _OF_TASK,
               "Consent": {"_id", "patient", "date", "status"}},
    "blind": {"ServiceRequest": {"_id", "status", "performer", "authored"},
              "Task": _OF_TASK - {"patient", "subject"}},
}  # fmt: skip
"""Search parameters that ask for nothing but what the data set shows, of those the matrix uses."""


@dataclass(frozen=True, slots=True)
class Held:
    """A resource. writer: `Organization/x` that made it. versions: oldest first; None: a deletion."""

    reference: str
    writer: str
    versions: tuple[Document | None, ...]

    @property
    def type(self) -> str:
        return self.reference.partition("/")[0]

    @property
    def id(self) -> str:
        return self.reference.partition("/")[2]

    @property
    def current(self) -> Document | None:
        return self.versions[-1]

    @property
    def last(self) -> Document:
        """What it says, or said before it was deleted."""
        return next(each for each in reversed(self.versions) if each is not None)


@dataclass(frozen=True, slots=True)
class Asked:
    """That the hub's Task asks an organization for something. rivals: others are asked beside it."""

    task: Held
    request: Held
    organization: str
    requester: str
    dataset: str
    rivals: bool


def _asked_when(task: Held) -> tuple[str, str]:
    """Of which referral, and in which commit, the hub asked by this Task."""
    first = task.versions[0]
    assert first is not None
    return first["partOf"][0]["reference"], first["meta"]["lastUpdated"]


class Oracle:
    """What is stored in a hub whose own Organization is `hub`, the directory's steward `steward`.

    policy: opt-in, opt-out or by-purpose. victims: organizations marked as victim service providers.
    emergencies: by who broke the glass and the patient, whether 42 CFR Part 2 is open too.
    read_after: for how long is shown what a referral named, once it is done. sandbox: its organizations.
    """

    def __init__(
        self, held: Iterable[Held], *, steward: str, hub: str, policy: str, now: datetime,
        victims: Iterable[str] = (), emergencies: Mapping[tuple[str, str], bool] | None = None,
        read_after: timedelta = timedelta(days=90), sandbox: Iterable[str] = (),
    ) -> None:  # fmt: skip
        self.read_after, self.sandbox = read_after, frozenset(sandbox)
        self.emergencies = dict(emergencies or {})
        self.held = {each.reference: each for each in held}
        self.steward, self.hub, self.policy, self.now = steward, hub, policy, now
        self.victims = frozenset(victims)
        self._classes: dict[str, frozenset[str]] = {}
        self._worked_out: dict[Any, Any] = {}
        self._seen: dict[tuple[str, str], str | None] = {}
        self.consents: dict[str, list[Held]] = {}
        for each in self.held.values():
            if each.type == "Consent":
                self.consents.setdefault(each.last["patient"]["reference"], []).append(each)
        # Who is asked later, once all of these have declined, is asked alone.
        self._together: dict[tuple[str, str], int] = {}
        for each in self.held.values():
            if each.type == "Task" and each.writer == hub and "partOf" in each.last:
                key = _asked_when(each)
                self._together[key] = self._together.get(key, 0) + 1
        self.questions = [
            asked for each in self.held.values() if (asked := self._asked(each)) is not None
        ]

    def sees(self, viewer: str, reference: str) -> str | None:
        """`whole`, the name of the data set it is shown by, or None."""
        key = (viewer, reference)
        if key not in self._seen:
            self._seen[key] = self._sees(viewer, self.held[reference])
        return self._seen[key]

    def _sees(self, viewer: str, one: Held) -> str | None:
        reference = one.reference
        if one.writer == viewer:
            return WHOLE
        if self.is_test(one) != (viewer in self.sandbox):
            return None if self.is_test(one) or one.writer != self.steward else WHOLE
        if one.writer == self.steward:
            return WHOLE
        classes = self.classes(reference)
        ruled = self.ruled(viewer, one)
        if "VSP" not in classes:
            standing = ruled is None and not classes and (
                (self.treats(viewer, self.patient(one)) and self.by_default(viewer))
                or self._represents(viewer, self.patient(one))
            )  # fmt: skip
            if (ruled or standing) and self.is_trusted(viewer):
                return WHOLE
        shown = [
            dataset
            for dataset, covers, is_party in self._shared_with(viewer, reference)
            if (classes <= covers or (ruled and "VSP" not in classes))
            and (is_party or ("VSP" not in classes and self._counts(viewer, ruled)))
        ]
        for best in (WHOLE, "food", "social", "blind"):
            if best in shown:
                return best
        return None

    def finds(self, viewer: str, reference: str, *parameters: str) -> bool:
        """Whether it is found by these parameters: not by what is not shown."""
        shown = self.sees(viewer, reference)
        if shown is None or self.held[reference].current is None:
            return False
        kind = reference.partition("/")[0]
        return shown == WHOLE or set(parameters) <= FINDS_BY[shown].get(kind, set())

    # ---- what a resource is

    def is_test(self, one: Held) -> bool:
        """Whether it is of the sandbox."""
        if one.writer == self.steward:
            return one.type != "CareTeam" and self.organization(one.reference) in self.sandbox
        if one.writer == self.hub:
            patient = self.held.get(self.patient(one) or "")
            return patient is not None and patient.writer in self.sandbox
        return one.writer in self.sandbox

    def patient(self, one: Held) -> str | None:
        """Whose record it is, `Patient/x`; None: nobody's."""
        if one.type == "Patient":
            return one.reference
        if one.type == "Provenance":
            targets = [each["reference"] for each in one.last["target"]]
            of_hub = one.writer == self.hub
            known = (self.held.get(each) for each in targets)
            return next((self.patient(each) for each in known if each and
                         (of_hub or each.type == "Patient")), None)  # fmt: skip
        for name in ("patient", "subject", "for"):
            text = (one.last.get(name) or {}).get("reference", "")
            if text.startswith("Patient/"):
                return str(text)
        return None

    def classes(self, reference: str, above: frozenset[str] = frozenset()) -> frozenset[str]:
        """Sensitivity classes: by labels, codes, and what it was ever derived from; they stay."""
        if reference in self._classes:
            return self._classes[reference]
        one = self.held.get(reference)
        if one is None or reference in above:
            return frozenset()
        found: set[str] = set()
        about_someone = one.type not in ("Organization", "HealthcareService", "Endpoint")
        for document in one.versions:
            if document is None:
                continue
            for label in (document.get("meta") or {}).get("security") or ():
                found |= {BY_LABEL.get((label.get("system"), label.get("code")), "")}
            if about_someone:
                found |= {BY_CODE.get(coding, "") for coding in codings(document)}
            for name in DERIVED_FROM.get(one.type, ()):
                for origin in references(document.get(name)):
                    found |= self.classes(origin, above | {reference})
        result = frozenset(found - {""})
        if not above:
            self._classes[reference] = result
        return result

    # ---- who somebody is

    def is_provider(self, organization: str) -> bool:
        """Whether it treats, as the directory says."""
        one = self.held[organization]
        if one.type != "Organization":
            return False
        types = [code for each in one.last.get("type", ()) for _, code in codings(each)]
        return one.writer == self.steward and "prov" in types and organization not in self.victims

    def is_trusted(self, viewer: str) -> bool:
        """Who treats, or is a person: sees whole what it sees by Consent."""
        return not viewer.startswith("Organization/") or self.is_provider(viewer)

    def by_default(self, organization: str) -> bool:
        """What absent Consent means for it."""
        if self.policy == "by-purpose":
            return self.is_trusted(organization)
        return self.policy == "opt-out"

    def organization(self, text: str) -> str | None:
        """Who is behind an address of the directory."""
        one = self.held.get(text)
        if one is None or one.type == "Organization":
            return text if one else None
        name = {"HealthcareService": "providedBy", "CareTeam": "managingOrganization"}
        behind = one.last.get(name.get(one.type, ""), {}).get("reference")
        return None if behind is None else self.organization(behind)

    # ---- Consent

    def ruled(self, viewer: str, one: Held) -> bool | None:
        """What the patient's Consents say of this viewer and this resource; None: nothing."""
        patient = self.patient(one)
        if patient is None or "VSP" in self.classes(one.reference):
            return None
        classes = self.classes(one.reference)
        if viewer.startswith("RelatedPerson/"):
            if self.patient(self.held[viewer]) != patient:
                return None
            if "SDV" in classes or one.type in ("Consent", "Provenance"):
                return False
        if viewer == patient:
            return True
        if (viewer, patient) in self.emergencies and (
            self.emergencies[viewer, patient] or "SUD" not in classes
        ):
            return True
        said: list[tuple[datetime, int, bool]] = []
        for consent in self.consents.get(patient, ()):
            document = consent.current
            if document is None or document["status"] != "active":
                continue
            holder = self.held[patient].writer
            given = datetime.fromisoformat(document["dateTime"].replace("Z", "+00:00"))
            for depth, permit, named in self._said(document, viewer, one):
                if permit and consent.writer != holder:
                    continue
                if permit and not named and not viewer.startswith("Organization/"):
                    continue
                said.append((given, depth, not permit))
        return None if not said else not max(said)[2]

    def _said(self, document: Document, viewer: str, one: Held) -> Iterator[tuple[int, bool, bool]]:
        root = document.get("provision", {})
        codes = {code for _, code in codings(document.get("policyRule", {}))}
        permits = root.get("type") == "permit" if "type" in root else "OPTIN" in codes
        permits = permits and not codes & {"OPTOUT", "NOCONSENT"}
        part2 = any("part-2" in each.get("uri", "") for each in document.get("policy", ()))
        covers = {"SUD"} if part2 else set()
        yield from self._walk(root, permits, viewer, one, covers, (False, False), 0)

    def _walk(
        self, provision: Document, permit: bool, viewer: str, one: Held, covers: set[str],
        above: tuple[bool, bool], depth: int,
    ) -> Iterator[tuple[int, bool, bool]]:  # fmt: skip
        """Depth, whether it permits, and whether it names the viewer; above: an actor, a purpose was named."""
        if not self._matches(provision, permit, viewer, one):
            return  # nor does anything in it
        labels = {BY_LABEL[each["system"], each["code"]] for each in provision.get("securityLabel", ())
                  if (each["system"], each["code"]) in BY_LABEL}  # fmt: skip
        covers = covers | labels
        narrow = (above[0] or "actor" in provision, above[1] or "purpose" in provision)
        open_to = covers if any(narrow) else covers - {"SUD"}
        if not permit or self.classes(one.reference) <= open_to:
            yield depth, permit, narrow[0]
        for each in provision.get("provision", ()):
            yield from self._walk(
                each, each["type"] == "permit", viewer, one, covers, narrow, depth + 1
            )

    def _matches(self, provision: Document, permit: bool, viewer: str, one: Held) -> bool:
        if "actor" in provision:
            actors: set[str | None] = set()
            for each in provision["actor"]:
                text = each["reference"]["reference"]
                if text.startswith("CareTeam/"):
                    for participant in self.held[text].last.get("participant", ()):
                        actors.add(self.organization(participant["member"]["reference"]))
                else:
                    actors.add(self.organization(text))
            if viewer not in actors:
                return False
        if "securityLabel" in provision:
            wanted = {
                BY_LABEL.get((each["system"], each["code"])) for each in provision["securityLabel"]
            }
            if not permit and "RESTRICTED" in wanted:
                wanted |= set(EVERY_CLASS)
            if not wanted & self.classes(one.reference):
                return False
        if "class" in provision and one.type not in {each["code"] for each in provision["class"]}:
            return False
        if "code" in provision:
            wanted_codes = {coding for each in provision["code"] for coding in codings(each)}
            if not wanted_codes & set(codings(one.last.get("code"))):
                return False
        instances = {each["reference"]["reference"] for each in provision.get("data", ())}
        if instances and one.reference not in instances:
            return False
        if "purpose" in provision:
            own = {"COC"} if viewer.startswith("Organization/") else {"PATRQT"}
            own |= {"TREAT", "CAREMGT"} if self.is_provider(viewer) else set()
            meant = {each["code"] for each in provision["purpose"]}
            if "TREAT" in meant and not permit:
                meant |= {"COC", "CAREMGT"}  # who denies treatment denies what is part of it
            if not own & meant:
                return False
        if "period" in provision:
            low, high = _period(provision["period"])
            if not low <= self.now < high:
                return False
        if "dataPeriod" in provision:
            spans = [_span(one.last[name]) for name in DATES.get(one.type, ()) if name in one.last]
            if one.type == "Consent" and "period" in one.last.get("provision", {}):
                spans.append(_period(one.last["provision"]["period"]))
            low, high = _period(provision["dataPeriod"])
            if permit and not (
                spans and all(low <= first and last <= high for first, last in spans)
            ):
                return False  # all its dates lie within what is permitted
            if (
                not permit
                and spans
                and not any(first < high and last > low for first, last in spans)
            ):
                return False  # one touches what is denied, or there is none
        return True

    # ---- referrals

    def is_asked_by(self, task: Held, organization: str) -> bool:
        """Whether this Task asks it for something, and it is no victim service provider."""
        asked = self._asked(task)
        return (
            asked is not None
            and asked.organization == organization
            and organization not in self.victims
        )

    def _asked(self, task: Held) -> Asked | None:
        """How the hub's Task asks somebody; None if it does not."""
        document = task.versions[0]
        if task.type != "Task" or task.writer != self.hub or document is None:
            return None
        if "partOf" not in document:
            return None
        sent = self.held[document["partOf"][0]["reference"]]
        request = self.held[document["focus"]["reference"]]
        organization = self.organization(document["owner"]["reference"])
        assert organization is not None
        return Asked(
            task, request, organization, sent.writer,
            self._dataset(organization, document["owner"]["reference"], request), self._together[_asked_when(task)] > 1,
        )  # fmt: skip

    def _dataset(self, organization: str, address: str, request: Held) -> str:
        if self.is_provider(organization):
            return WHOLE
        concepts = [request.last.get("category"), self.held[address].last.get("type"),
                    self.held[address].last.get("category")]  # fmt: skip
        codes = {coding for concept in concepts for coding in codings({"all": concept})}
        return "food" if (SERVICE_TYPE, "548") in codes else "social"

    def treats(self, viewer: str, patient: str | None) -> bool:
        """Whether it has a referral of this patient at work, or is of its CareTeam."""
        return (viewer, patient) in self._once("treating", lambda: {
            *((each.organization, self.patient(each.request)) for each in self.questions
              if each.task.last["status"] in AT_WORK and self._is_held_by(each)),
            *self._team_members(),
        })  # fmt: skip

    def _is_held_by(self, asked: Asked) -> bool:
        patient = self.patient(asked.request)
        holder = patient and self.held[patient].writer
        return asked.requester == holder and asked.organization != holder

    def _team_members(self) -> Iterator[tuple[str, str]]:
        for team in self.held.values():
            patient = self.patient(team)
            if team.type != "CareTeam" or team.current is None or patient is None:
                continue
            if team.current["status"] != "active" or team.writer != self.held[patient].writer:
                continue
            for participant in team.current.get("participant", ()):
                member = self.organization(participant["member"]["reference"])
                if member is not None and self.is_provider(member):
                    yield member, patient

    def _represents(self, viewer: str, patient: str | None) -> bool:
        """Whether it is an adult's legal representative, as the holder of the record says."""
        one = self.held[viewer]
        if one.type != "RelatedPerson" or one.current is None or self.patient(one) != patient:
            return False
        record = self.held[str(patient)]
        born = datetime.fromisoformat(record.last["birthDate"]).replace(tzinfo=UTC)
        codes = {code for _, code in codings(one.last.get("relationship"))}
        is_adult = born.replace(year=born.year + 18) <= self.now
        return one.writer == record.writer and is_adult and "HPOWATT" in codes

    def _once(self, key: Any, work_out: Callable[[], Any]) -> Any:
        if key not in self._worked_out:
            self._worked_out[key] = work_out()
        return self._worked_out[key]

    def _counts(self, viewer: str, ruled: bool | None) -> bool:
        return self.by_default(viewer) if ruled is None else ruled

    def _shared_with(self, viewer: str, reference: str) -> list[tuple[str, frozenset[str], bool]]:
        """By which data sets referrals show this, of which classes, and whether as to a party."""
        shared: dict[str, list[tuple[str, frozenset[str], bool]]] = self._once(
            ("shared", viewer), lambda: self._shares(viewer)
        )
        return shared.get(reference, [])

    def _shares(self, viewer: str) -> dict[str, list[tuple[str, frozenset[str], bool]]]:
        everything = EVERY_CLASS
        found: dict[str, list[tuple[str, frozenset[str], bool]]] = {}
        for asked in self.questions:
            if asked.organization == viewer:
                for name, dataset in self._as_party(asked):
                    found.setdefault(name, []).append((dataset, everything, True))
                for name in self._named(asked):
                    found.setdefault(name, []).append((asked.dataset, frozenset(), False))
            if asked.requester == viewer:
                for name in self._results(asked):
                    covers = everything - {"SUD", "VSP"}
                    found.setdefault(name, []).append((WHOLE, covers, False))
        for one in self.held.values():
            if one.writer != self.hub:
                continue
            is_notice = one.type == "Communication"  # that the glass was broken
            if is_notice and viewer in references(one.last["recipient"]):
                found.setdefault(one.reference, []).append((WHOLE, everything - {"VSP"}, True))
            asks_to_stop = one.type == "Task" and "partOf" not in one.last
            if asks_to_stop and self.organization(one.last["owner"]["reference"]) == viewer:
                found.setdefault(one.reference, []).append((WHOLE, everything, True))
        return found

    def _statuses(self, asked: Asked) -> list[str]:
        return [each["status"] for each in asked.task.versions if each is not None]

    def _won(self, asked: Asked) -> bool:
        return any(status in AT_WORK for status in self._statuses(asked))

    def _was_withdrawn(self, asked: Asked) -> bool:
        """Whether the patient took back the permission, and the hub said so on the Task."""
        return any(
            code == "consent-withdrawn"
            for each in asked.task.versions if each is not None
            for _, code in codings(each.get("statusReason", {}))
        )  # fmt: skip

    def _as_party(self, asked: Asked) -> Iterator[tuple[str, str]]:
        withdrawn = self._was_withdrawn(asked)
        # Who had not heard of it before the withdrawal is not told of it any more.
        if not withdrawn or self._won(asked):
            if asked.rivals:
                yield asked.task.reference, "blind"
            if not asked.rivals or self._won(asked):
                yield asked.task.reference, asked.dataset
            for one in self._provenances().get(asked.task.reference, ()):
                yield one, WHOLE
        if not withdrawn:
            if asked.rivals:
                yield asked.request.reference, "blind"
            if not asked.rivals or self._won(asked):
                yield asked.request.reference, asked.dataset

    def _provenances(self) -> dict[str, list[str]]:
        """The hub's own, by what they are about."""

        def work_out() -> dict[str, list[str]]:
            found: dict[str, list[str]] = {}
            for one in self.held.values():
                if one.type == "Provenance" and one.writer == self.hub:
                    for target in references(one.last["target"]):
                        found.setdefault(target, []).append(one.reference)
            return found

        return self._once("provenances", work_out)  # type: ignore[no-any-return]

    def _named(self, asked: Asked) -> set[str]:
        """What a question names, as long as it stands; its own sender's only, as all is in this matrix."""
        statuses = self._statuses(asked)
        if statuses[-1] in UNDONE or (asked.rivals and not self._won(asked)):
            return set()
        if statuses[-1] in DONE:
            versions = [each for each in asked.task.versions if each is not None]
            ended = next(each for each in versions if each["status"] in DONE)
            if self.now >= _span(ended["meta"]["lastUpdated"])[0] + self.read_after:
                return set()
        told = 0
        if asked.rivals:
            told = next(at for at, status in enumerate(statuses) if status in AT_WORK)
        document = dict(asked.task.versions[told] or {})
        document.pop("partOf", None)
        names = set(references(document)) | set(references(asked.request.versions[0]))
        if asked.dataset != WHOLE:
            for order in references((asked.request.versions[0] or {}).get("basedOn")):
                names |= {order, *references(self.held[order].versions[0])}
        for name in list(names):
            part = self.held.get(name)
            for element in PARTS.get(part.type, ()) if part else ():
                names |= set(references((part.last if part else {}).get(element)))
        return {
            name for name in names
            if name in self.held and self._sender_sees(asked, name)
            and self._admits(asked.dataset, self.held[name])
        }  # fmt: skip

    def _sender_sees(self, asked: Asked, name: str) -> bool:
        return self.held[name].writer == asked.requester

    @staticmethod
    def _admits(dataset: str, one: Held) -> bool:
        if dataset == WHOLE:
            return True
        if one.type == "Observation":
            return dataset == "food" and HOUSEHOLD in codings(one.last["code"])
        return one.type in SHOWN[dataset]

    def _results(self, asked: Asked) -> set[str]:
        """What who was asked wrote for who asked: on the order, or as output of its Task; with its parts."""
        orders = {
            asked.request.reference,
            *references((asked.request.versions[0] or {}).get("basedOn")),
        }
        based = self._once("based", self._based_on)
        named = {name for order in orders for name in based.get(order, ())}
        for version in asked.task.versions:
            named |= set(references((version or {}).get("output")))
        for name in list(named):
            for element in PARTS.get(name.partition("/")[0], ()):
                named |= set(references(self.held[name].last.get(element)))
        return {name for name in named if self.held[name].writer == asked.organization}

    def _based_on(self) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for one in self.held.values():
            if one.type != "ServiceRequest":
                for version in one.versions:
                    for order in references((version or {}).get("basedOn")):
                        found.setdefault(order, set()).add(one.reference)
        return found


def codings(node: Any) -> list[tuple[str | None, str]]:
    """Every system and code below a node, `meta` aside."""
    if isinstance(node, list):
        return [found for each in node for found in codings(each)]
    if not isinstance(node, dict):
        return []
    own = [(node.get("system"), node["code"])] if isinstance(node.get("code"), str) else []
    return own + [found for name, each in node.items() if name != "meta" for found in codings(each)]


def references(node: Any) -> list[str]:
    """Every `Type/id` that is referred to below a node."""
    if isinstance(node, list):
        return [found for each in node for found in references(each)]
    if not isinstance(node, dict):
        return []
    own = [node["reference"]] if isinstance(node.get("reference"), str) else []
    return own + [found for each in node.values() for found in references(each)]


def _span(text: str) -> tuple[datetime, datetime]:
    if "T" in text:
        start = datetime.fromisoformat(text.replace("Z", "+00:00"))
        return start, start + timedelta(milliseconds=1)
    start = datetime.fromisoformat(text).replace(tzinfo=UTC)
    return start, start + timedelta(days=1)


def _period(period: Document) -> tuple[datetime, datetime]:
    """First instant, and the first that is no longer in it: its end is included to the day."""
    low = _span(period["start"])[0] if "start" in period else datetime.min.replace(tzinfo=UTC)
    high = _span(period["end"])[1] if "end" in period else datetime.max.replace(tzinfo=UTC)
    return low, high
