"""A Consent flattened to rules decides as the tree of its provisions does, or shows less."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coordhub.access.consent import Rule, rules_of
from coordhub.access.provision import Known
from coordhub.access.reach import Actors
from coordhub.r4 import types
from coordhub.r4.interval import parse_instant, parse_period
from coordhub.r4.sensitivity import ALL, HIV, PSY, RESTRICTED, SUD, VSP

Document = dict[str, Any]

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
LEVEL = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
ROLE = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
RIDS = {"Organization/a": 1, "Organization/b": 2, "Observation/1": 101, "Observation/2": 102}
TEAM = {"CareTeam/whole": Actors({1, 2}), "CareTeam/partly": Actors({1}, complete=False)}


def meant(element: Document) -> Actors | None:
    text = element.get("reference")
    return TEAM.get(text) or (Actors({RIDS[text]}) if text in RIDS else None)


KNOWN = Known(meant, lambda element: RIDS.get(element.get("reference", "")))


def consent(provision: Document | None = None, **elements: Any) -> Document:
    document = {
        "resourceType": "Consent", "status": "active", "dateTime": "2026-01-01T00:00:00Z",
        "scope": {"coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/consentscope",
            "code": "patient-privacy"}]},
        "patient": {"reference": "Patient/p"},
    }  # fmt: skip
    if provision is not None:
        document["provision"] = provision
    return {**document, **elements}


def policy(code: str) -> Document:
    return {"coding": [{"system": ACT, "code": code}]}


def actor(reference: str, role: str = "IRCP") -> Document:
    return {
        "role": {"coding": [{"system": ROLE, "code": role}]},
        "reference": {"reference": reference},
    }


def label(code: str) -> Document:
    return {"system": LEVEL if code in ("N", "R") else ACT, "code": code}


@dataclass(frozen=True)
class Look:
    """One resource that one actor looks at."""

    actor: int = 1
    type: int = types.NUMBER["Observation"]
    rid: int = 101
    labels: int = 0
    codes: frozenset[tuple[str, str]] = frozenset({("s", "c1")})
    date: str = "2025-06-01"
    purposes: frozenset[str] = frozenset({"TREAT"})


# ---- what the store does with rules


def of_rules(rules: tuple[Rule, ...], look: Look, now: datetime = NOW) -> bool | None:
    matching = [rule for rule in rules if rule_matches(rule, look, now)]
    best = min(matching, key=lambda rule: (-rule.precedence, rule.permit), default=None)
    return None if best is None else best.permit


def rule_matches(rule: Rule, look: Look, now: datetime) -> bool:
    space = rule.space
    date = parse_instant(look.date)
    assert date is not None
    return (
        (space.actors is None or look.actor in space.actors)
        and (space.types is None or look.type in space.types)
        and (space.rids is None or look.rid in space.rids)
        and (space.labels is None or bool(look.labels & space.labels))
        and (space.codes is None or bool(look.codes & space.codes))
        and (space.purposes is None or bool(look.purposes & space.purposes))
        and date.high > space.dates.low
        and date.low < space.dates.high
        and space.when.low <= now < space.when.high
        and (not rule.permit or not look.labels & ~rule.covers)
    )


# ---- the slow oracle: walks the tree for each look; None is "cannot be told"


def decides(document: Document, look: Look) -> bool | None:
    root = document.get("provision", {})
    said = {
        {"OPTIN": True, "OPTOUT": False}[one["code"]] for one in document["policyRule"]["coding"]
    }
    if "type" in root:
        said.add(root["type"] == "permit")
    found = list(walk(root, min(said), look, True, 0, 0))
    return min(found, key=lambda one: (-one[0], one[1]))[1] if found else None


def walk(
    provision: Document, permit: bool, look: Look, above: bool | None, named: int, depth: int
) -> Iterator[tuple[int, bool]]:
    matched = every([above, *(matches(name, provision[name], look) for name in provision
                              if name not in ("type", "provision"))])  # fmt: skip
    for one in provision.get("securityLabel", ()):
        named |= {"SUD": SUD, "HIV": HIV, "PSY": PSY, "R": RESTRICTED}.get(one["code"], 0)
    if permit and matched is True and not look.labels & ~named:
        yield depth, True
    if not permit and matched is not False:
        yield depth, False
    for nested in provision.get("provision", ()):
        yield from walk(nested, nested["type"] == "permit", look, matched, named, depth + 1)


def every(answers: list[bool | None]) -> bool | None:
    return False if False in answers else None if None in answers else True


def some(answers: list[bool | None]) -> bool | None:
    return True if True in answers else None if None in answers else False


def matches(name: str, value: Any, look: Look) -> bool | None:
    match name:
        case "actor":
            return some([
                look.actor == RIDS[text] if (text := one["reference"]["reference"]) in RIDS
                else None for one in value
            ])  # fmt: skip
        case "securityLabel":
            return some([labelled(one["code"], look.labels) for one in value])
        case "purpose":
            return some([one["code"] in look.purposes for one in value])
        case "class":
            return some([
                types.NUMBER[one["code"]] == look.type if one["code"] in types.NUMBER else None
                for one in value
            ])  # fmt: skip
        case "code":
            return some([
                bool({(c["system"], c["code"]) for c in one["coding"]} & look.codes)
                if "coding" in one else None for one in value
            ])  # fmt: skip
        case "data":
            return some([of_instance(one, look) for one in value])
        case "action":
            return some(
                [one["coding"][0]["code"] in ("access", "disclose", "use") for one in value]
            )
        case "dataPeriod" | "period":
            span, date = parse_period(value), parse_instant(look.date)
            assert span is not None
            assert date is not None
            if name == "period":
                return span.low <= NOW < span.high
            return date.high > span.low and date.low < span.high
    raise AssertionError(name)


def of_instance(one: Document, look: Look) -> bool | None:
    """What depends on something is that and what refers to it, of which a look says nothing."""
    same = RIDS.get(one["reference"]["reference"]) == look.rid
    return same or (False if one["meaning"] == "instance" else None)


def labelled(code: str, bits: int) -> bool | None:
    match code:
        case "N":
            return True
        case "R":
            return True if bits & RESTRICTED else None if bits else False
        case "SUD" | "HIV" | "PSY":
            return bool(bits & {"SUD": SUD, "HIV": HIV, "PSY": PSY}[code])
    return None


def _some(values: list[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(st.sampled_from(values), min_size=1, max_size=2)


EXACT: dict[str, st.SearchStrategy[Any]] = {
    "actor": _some([actor("Organization/a"), actor("Organization/b", "PRCP")]),
    "purpose": _some([{"system": REASON, "code": code} for code in ("COC", "HRESCH")]),
    "class": _some([{"system": "http://hl7.org/fhir/resource-types", "code": "Observation"},
                    {"system": "http://hl7.org/fhir/resource-types", "code": "Condition"}]),
    "data": _some([{"meaning": "instance", "reference": {"reference": f"Observation/{n}"}} for n in (1, 2)]),
    "action": _some([{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentaction",
                                  "code": code}]} for code in ("access", "disclose", "collect")]),
    "dataPeriod": st.sampled_from([{"start": "2025"}, {"end": "2024"}, {"start": "2024", "end": "2025-03"}]),
    "period": st.sampled_from([{"start": "2025"}, {"end": "2026-01"}, {"start": "2026-02", "end": "2027"}]),
}  # fmt: skip
ONCE: dict[str, st.SearchStrategy[Any]] = {
    "securityLabel": _some([label(code) for code in ("SUD", "HIV", "PSY", "N")]),
    "code": _some([{"coding": [{"system": "s", "code": code}]} for code in ("c1", "c2", "c3")]),
}
VAGUE: dict[str, st.SearchStrategy[Any]] = {
    **EXACT,
    **ONCE,
    "actor": _some([actor("Organization/a"), actor("Organization/b"), actor("Practitioner/x")]),
    "securityLabel": _some([label(code) for code in ("SUD", "HIV", "PSY", "N", "R", "STRANGE")]),
    "class": _some([{"system": "http://hl7.org/fhir/resource-types", "code": "Observation"},
                    {"system": "urn:ietf:rfc:3986", "code": "http://us.example/vital-signs"}]),
    "code": _some([{"coding": [{"system": "s", "code": "c1"}]},
                   {"coding": [{"system": "s", "code": "c2"}]}, {"text": "words"}]),
    "data": _some([{"meaning": "instance", "reference": {"reference": "Observation/1"}},
                   {"meaning": "dependents", "reference": {"reference": "Observation/2"}}]),
}  # fmt: skip


def provisions(
    elements: dict[str, st.SearchStrategy[Any]], depth: int
) -> st.SearchStrategy[Document]:
    below: dict[str, st.SearchStrategy[Any]] = {}
    if depth:
        # Two sets of labels within each other are only met nearly: exact trees state them in leaves.
        below["provision"] = st.lists(provisions(elements, depth - 1), max_size=3)
    elif elements is EXACT:
        elements = EXACT | ONCE
    return st.fixed_dictionaries(
        {"type": st.sampled_from(["permit", "deny"])}, optional={**elements, **below}
    )


def consents(elements: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Document]:
    return st.builds(
        lambda root, code: consent(root, policyRule=policy(code)),
        provisions(elements, 2),
        st.sampled_from(["OPTIN", "OPTOUT"]),
    )


LOOKS = st.builds(
    Look,
    actor=st.sampled_from([1, 2, 3]),
    type=st.sampled_from([types.NUMBER["Observation"], types.NUMBER["Condition"]]),
    rid=st.sampled_from([101, 102, 103]),
    labels=st.sampled_from([0, 0, SUD, HIV, SUD | HIV, RESTRICTED, PSY | SUD]),
    codes=st.frozensets(st.sampled_from([("s", "c1"), ("s", "c2"), ("s", "c3")])),
    date=st.sampled_from(["2023-01-01", "2025-02-02", "2025-06-01"]),
    purposes=st.sampled_from([frozenset({"COC"}), frozenset({"HRESCH"}), frozenset({"PATRQT"})]),
)


def without_part2_scruples(look: Look) -> Look:
    """SUD asks for more than a label (shown below by itself)."""
    return replace(look, labels=look.labels & ~SUD)


@settings(max_examples=400)
@given(consents(EXACT), LOOKS)
def test_what_rules_can_express_is_decided_as_by_the_tree(document: Document, look: Look) -> None:
    look = without_part2_scruples(look)
    assert of_rules(rules_of(document, KNOWN, NOW).rules, look) == decides(document, look)


@settings(max_examples=400)
@given(consents(VAGUE), LOOKS)
def test_what_rules_cannot_express_shows_no_more_than_the_tree(
    document: Document, look: Look
) -> None:
    order = [False, None, True]
    by_rules = of_rules(rules_of(document, KNOWN, NOW).rules, look)
    assert order.index(by_rules) <= order.index(decides(document, look))


# ---- by hand


def shows(document: Document, look: Look | None = None) -> bool | None:
    return of_rules(rules_of(document, KNOWN, NOW).rules, look or Look())


def told(document: Document) -> list[str]:
    """The elements that its author is warned of."""
    issues = rules_of(document, KNOWN, NOW).issues
    assert all(issue.severity == "warning" and issue.diagnostics for issue in issues)
    return [issue.expression for issue in issues]


def test_given_bsers_form_when_read_then_the_organization_named_as_custodian_is_permitted() -> None:
    document = consent(
        {"type": "permit", "actor": [actor("Organization/a", "CST")],
         "action": [{"coding": [{"code": "access",
                    "system": "http://terminology.hl7.org/CodeSystem/consentaction"}]}]},
        policyRule=policy("OPTIN"), dateTime="2019-05-23",
    )  # fmt: skip
    assert shows(document) is True
    assert shows(document, Look(actor=2)) is None
    assert shows(document, Look(labels=HIV)) is None
    document["provision"]["type"] = "deny"
    assert shows(document, Look(actor=2)) is False


@pytest.mark.parametrize(
    "elements",
    [
        {"policy": [{"uri": "urn:uuid:a7ff9fa3-fbb6-4c5e-a1cc-6128069bbd4b"}]},
        {"sourceAttachment": {"contentType": "application/pdf"}},
        {"sourceAttachment": {"title": "terms"}, "policyRule": policy("OPTIN")},
        {"policyRule": policy("OPTINR")},
    ],
)
def test_given_terms_that_only_people_can_read_when_read_then_it_needs_classification(
    elements: Document,
) -> None:
    reading = rules_of(consent(**elements), KNOWN, NOW)
    assert reading.rules == ()
    [issue] = reading.issues
    assert "needs classification" in issue.diagnostics
    assert issue.expression == "Consent.provision"


def test_given_a_mere_opt_in_or_opt_out_when_read_then_it_is_about_everyone() -> None:
    assert shows(consent(policyRule=policy("OPTIN")), Look(actor=77)) is True
    assert shows(consent(policyRule=policy("OPTOUT")), Look(actor=77)) is False
    document = consent(sourceAttachment={"title": "terms"}, policyRule=policy("OPTOUT"))
    assert shows(document, Look(labels=ALL)) is False


@pytest.mark.parametrize(
    "elements",
    [
        {"status": "inactive"}, {"status": "rejected"}, {"status": "draft"}, {"status": "proposed"},
        {"status": "entered-in-error"},
        {"scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope",
                               "code": "research"}]}},
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["permit", "deny"])
def test_what_is_not_in_force_gives_nothing(elements: Document, kind: str) -> None:
    reading = rules_of(consent({"type": kind}, **elements), KNOWN, NOW)
    assert reading.rules == ()
    assert reading.issues == ()


def test_given_a_later_consent_when_both_match_then_it_decides() -> None:
    early = consent({"type": "deny", "provision": [
        {"type": "permit", "actor": [actor("Organization/a")]}]})  # fmt: skip
    late = consent({"type": "deny"}, dateTime="2026-01-01T00:00:01Z")
    both = (*rules_of(early, KNOWN, NOW).rules, *rules_of(late, KNOWN, NOW).rules)
    assert shows(early) is True
    assert of_rules(both, Look()) is False


def test_given_two_consents_of_one_day_when_one_only_denies_then_it_decides() -> None:
    mixed = consent({"type": "deny", "provision": [{"type": "permit"}]}, dateTime="2026-03-01")
    denial = consent({"type": "deny"}, dateTime="2026-03-01")
    both = (*rules_of(denial, KNOWN, NOW).rules, *rules_of(mixed, KNOWN, NOW).rules)
    assert of_rules(both, Look()) is False


def test_given_no_date_when_read_then_only_what_it_denies_counts() -> None:
    document = consent(
        {"type": "permit", "provision": [{"type": "deny", "actor": [actor("Organization/b")]}]}
    )
    del document["dateTime"]
    assert shows(document) is None
    assert shows(document, Look(actor=2)) is False
    assert told(document) == ["Consent.dateTime"]


def test_given_policy_and_provision_that_disagree_when_read_then_the_denial_counts() -> None:
    document = consent({"type": "permit"}, policyRule=policy("OPTOUT"))
    assert shows(document) is False
    assert told(document) == ["Consent.policyRule"]


@pytest.mark.parametrize(
    ("element", "value", "place"),
    [
        ("actor", [actor("Practitioner/x")], "Consent.provision.actor[0].reference"),
        ("actor", [{"role": {}, "reference": {"identifier": {"value": "npi"}}}],
         "Consent.provision.actor[0].reference"),
        ("actor", [actor("Organization/a", "AUT")], "Consent.provision.actor[0].role"),
        ("securityLabel", [label("STRANGE")], "Consent.provision.securityLabel[0]"),
        ("securityLabel", [label("PSYTHPN")], "Consent.provision.securityLabel[0]"),
        ("purpose", [{"system": "urn:x", "code": "TREAT"}], "Consent.provision.purpose[0]"),
        ("class", [{"system": "urn:ietf:rfc:3986", "code": "http://us.example/p"}],
         "Consent.provision.class[0]"),
        ("code", [{"text": "diabetes"}], "Consent.provision.code[0]"),
        ("data", [{"meaning": "authoredby", "reference": {"reference": "Organization/a"}}],
         "Consent.provision.data[0].meaning"),
        ("data", [{"meaning": "instance", "reference": {"reference": "Observation/9"}}],
         "Consent.provision.data[0].reference"),
        ("action", [{"coding": [{"system": "urn:x", "code": "gaze"}]}], "Consent.provision.action"),
        ("modifierExtension", [{"url": "urn:x", "valueBoolean": True}],
         "Consent.provision.modifierExtension"),
    ],
)  # fmt: skip
def test_what_cannot_be_followed_voids_a_permit_and_leaves_a_denial_wide_and_is_told(
    element: str, value: Any, place: str
) -> None:
    sensitive = Look(actor=55, labels=PSY)
    permit = consent({"type": "permit", element: value})
    deny = consent({"type": "deny", element: value})
    if element != "action":  # of an unknown action the rest of the provision still stands
        assert shows(permit, Look()) is None
    assert shows(deny, sensitive) is False
    assert place in told(permit)
    assert place in told(deny)


def test_given_a_care_team_when_some_are_unknown_then_a_permit_is_for_the_others() -> None:
    partly = {"actor": [actor("CareTeam/partly")]}
    assert shows(consent({"type": "permit", **partly})) is True
    assert shows(consent({"type": "permit", **partly}), Look(actor=2)) is None
    assert shows(consent({"type": "deny", **partly}), Look(actor=2)) is False
    assert told(consent({"type": "permit", "actor": [actor("CareTeam/whole")]})) == []


@pytest.mark.parametrize("code", ["collect", "correct"])
def test_given_a_provision_of_other_actions_when_read_then_it_gives_nothing(code: str) -> None:
    action = [
        {
            "coding": [
                {"system": "http://terminology.hl7.org/CodeSystem/consentaction", "code": code}
            ]
        }
    ]
    for kind in ("permit", "deny"):
        assert shows(consent({"type": kind, "action": action})) is None


def test_a_permit_opens_only_the_classes_it_names() -> None:
    named = {"actor": [actor("Organization/a")]}
    assert shows(consent({"type": "permit", **named}), Look(labels=HIV)) is None
    hiv = consent({"type": "permit", **named, "securityLabel": [label("N"), label("HIV")]})
    assert shows(hiv, Look(labels=HIV)) is True
    assert shows(hiv) is True
    assert shows(hiv, Look(labels=HIV | PSY)) is None
    only = consent({"type": "permit", **named, "securityLabel": [label("HIV")]})
    assert shows(only) is None


def test_no_consent_opens_what_a_victim_service_provider_wrote() -> None:
    document = consent({"type": "permit", "securityLabel": [
        {"system": "urn:coordhub:sensitivity", "code": "VSP"}, label("N")]})  # fmt: skip
    assert all(not rule.covers & VSP for rule in rules_of(document, KNOWN, NOW).rules)
    assert shows(document, Look(labels=VSP)) is None


PART2 = [{"uri": "https://www.ecfr.gov/current/title-42/chapter-I/subchapter-A/part-2"}]


def test_under_part_2_recipients_or_purposes_are_named() -> None:
    sud = Look(labels=SUD)
    everyone = {"type": "permit", "securityLabel": [label("SUD")]}
    assert shows(consent(everyone), sud) is None
    assert told(consent(everyone)) == ["Consent.provision"]
    assert shows(consent({**everyone, "actor": [actor("Organization/a")]}), sud) is True
    for_care = {"type": "permit", "purpose": [{"system": REASON, "code": "TREAT"}]}
    assert shows(consent(for_care), sud) is None
    assert shows(consent(for_care, policy=PART2), sud) is True
    assert shows(consent(for_care, category=[policy("42CFRPart2")]), sud) is True
    assert shows(consent(for_care, policy=PART2), replace(sud, purposes=frozenset({"COC"}))) is None


def test_a_denial_of_treatment_denies_what_is_part_of_it_and_a_permit_does_not_give_it() -> None:
    purpose = {"purpose": [{"system": REASON, "code": "TREAT"}]}
    social = Look(purposes=frozenset({"COC"}))
    assert shows(consent({"type": "permit", **purpose}), social) is None
    assert shows(consent({"type": "deny", **purpose}), social) is False


def test_given_provisions_nested_beyond_what_precedence_counts_then_the_denial_decides() -> None:
    tree: Document = {"type": "permit"}
    for depth in range(70):
        tree = {"type": "deny" if depth % 2 == 0 else "permit", "provision": [tree]}
    assert shows(consent(tree)) is False


@pytest.mark.parametrize("element", ["code", "securityLabel"])
def test_given_sets_that_overlap_when_nested_then_a_denial_takes_all_and_a_permit_the_common_part(
    element: str,
) -> None:
    def having(*names: str) -> Document:
        if element == "code":
            return {"code": [{"coding": [{"system": "s", "code": name}]} for name in names]}
        return {"securityLabel": [label(name) for name in names]}

    def look(*names: str) -> Look:
        bits = sum({"SUD": SUD, "HIV": HIV, "PSY": PSY}.get(name, 0) for name in names)
        return Look(
            labels=bits if element == "securityLabel" else 0,
            codes=frozenset({("s", name) for name in names}),
        )

    named = {"actor": [actor("Organization/a")], **having("SUD", "HIV")}
    nested = consent(
        {"type": "permit", **named, "provision": [{"type": "deny", **having("HIV", "PSY")}]}
    )
    assert shows(nested, look("SUD")) is True
    assert shows(nested, look("SUD", "PSY")) is False
    assert shows(nested, look("HIV")) is False
    nested = consent(
        {"type": "deny", **named, "provision": [{"type": "permit", **having("HIV", "PSY")}]}
    )
    assert shows(nested, look("SUD")) is False
    assert shows(nested, look("HIV")) is True
    assert shows(nested, look("PSY")) is None


def test_given_a_day_that_has_not_come_when_read_then_a_later_consent_still_overrules_it() -> None:
    tomorrow = consent({"type": "permit"}, dateTime="2026-03-02")
    denial = consent({"type": "deny"}, dateTime="2026-03-01T12:00:00Z")
    both = (*rules_of(tomorrow, KNOWN, NOW).rules, *rules_of(denial, KNOWN, NOW).rules)
    assert of_rules(both, Look()) is False
