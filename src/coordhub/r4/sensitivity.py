"""Classes of sensitive content: their bits, the codes that stand for them, and `meta.security`.

http://hl7.org/fhir/R4/security-labels.html, http://hl7.org/fhir/uv/security-label-ds4p

A resource has a set of classes, one bit each, in a column beside its text. Senders say them by codes
in `meta.security`; the hub adds its own. What the hub added is never in the stored text: `splice`
puts it there on the way out, `unspliced` takes it away when a reader sends it back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from coordhub.r4 import document as fhir_json

SUD: Final = 1
"""Substance use disorder treatment, 42 CFR Part 2."""
HIV: Final = 2
PSY: Final = 4
"""Mental health."""
SEX: Final = 8
"""Reproductive and sexual health."""
SDV: Final = 16
"""Sexual assault, abuse, domestic violence."""
VSP: Final = 32
"""Content of a victim service provider: its own eyes, and those of its written releases."""
RESTRICTED: Final = 64
"""A sender asked for more than normal confidentiality, in words that name none of the classes."""
TEST: Final = 1 << 20
"""No class of content, and none that anybody says or takes away: it is of the sandbox, where nobody is real."""

NAMES: Final[Mapping[str, int]] = {
    "SUD": SUD, "HIV": HIV, "PSY": PSY, "SEX": SEX, "SDV": SDV, "VSP": VSP, "RESTRICTED": RESTRICTED,
}  # fmt: skip
"""The words by which operators and audit rows name the classes."""

ALL: Final = SUD | HIV | PSY | SEX | SDV | VSP | RESTRICTED

ACT_CODE: Final = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
ACT_REASON: Final = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
CONFIDENTIALITY: Final = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
OWN: Final = "urn:coordhub:sensitivity"
"""The code VSP, which HL7 has none for."""

NOTICE: Final = "urn:coordhub:notice"
"""Codes whose display is a notice that the law wants to go with a record, wherever it goes."""

PART_2_NOTICE: Final = "42 CFR part 2 prohibits unauthorized use or disclosure of these records."
"""The short form of 42 CFR 2.32."""

Coding = dict[str, str]

_CODINGS: Final[Mapping[int, tuple[Coding, ...]]] = {
    SUD: (
        {"system": ACT_CODE, "code": "SUD", "display": "substance use disorder information sensitivity"},
        {"system": ACT_CODE, "code": "42CFRPart2", "display": "42 CFR Part2"},
        {"system": ACT_CODE, "code": "NORDSCLCD", "display": "no redisclosure without consent directive"},
        {"system": NOTICE, "code": "42CFRPart2", "display": PART_2_NOTICE},
    ),
    HIV: ({"system": ACT_CODE, "code": "HIV", "display": "HIV/AIDS information sensitivity"},),
    PSY: ({"system": ACT_CODE, "code": "PSY", "display": "psychiatry disorder information sensitivity"},),
    SEX: (
        {
            "system": ACT_CODE, "code": "SEX",
            "display": "sexuality and reproductive health information sensitivity",
        },
    ),
    SDV: (
        {
            "system": ACT_CODE, "code": "SDV",
            "display": "sexual assault, abuse, or domestic violence information sensitivity",
        },
    ),
    VSP: (),  # told to nobody: to whom it is shown, it would say that this tells of a provider
    RESTRICTED: ({"system": CONFIDENTIALITY, "code": "R", "display": "restricted"},),
    TEST: ({"system": ACT_REASON, "code": "HTEST", "display": "test health data"},),
}  # fmt: skip

_SENSITIVITY: Final[Mapping[str, int]] = {
    "SUD": SUD, "ETH": SUD, "ETHUD": SUD, "OPIOIDUD": SUD, "42CFRPart2": SUD,
    "HIV": HIV,
    "Title38Section7332": SUD | HIV | RESTRICTED,
    "PSY": PSY, "MH": PSY, "EMOTDIS": PSY, "COGN": PSY, "DVD": PSY,
    "PSYTHPN": PSY | RESTRICTED, "HIPAAPsyNotes": PSY | RESTRICTED,
    "BH": PSY | SUD,
    "SEX": SEX, "STD": SEX, "PREGNANT": SEX,
    "SDV": SDV, "MST": SDV, "VIO": SDV,
}  # fmt: skip
"""Codes of v3-ActCode whose classes are known. BH is the group of mental health and substance use;
psychotherapy notes need a consent of their own, which no class expresses."""

_OBLIGATIONS: Final = (
    "ANONY", "AOD", "AUDIT", "AUDTR", "CPLYCC", "CPLYCD", "CPLYJPP", "CPLYJSP", "CPLYOPP", "CPLYOSP",
    "CPLYPOL", "DECLASSIFYLABEL", "DEID", "DELAU", "DOWNGRDLABEL", "DRIVLABEL", "ENCRYPT", "ENCRYPTR",
    "ENCRYPTT", "ENCRYPTU", "HUAPRV", "LABEL", "MASK", "MINEC", "PERSISTLABEL", "PRIVMARK", "PSEUD",
    "REDACT", "UPGRDLABEL", "PROCESSINLINELABEL",
)  # fmt: skip
_BIND_THE_RECEIVER: Final = (
    "NOCOLLECT", "NOINTEGRATE", "NOPERSISTP", "NORDSCLCD", "NORDSCLCDS", "NORDSCLW", "NORELINK", "NOREUSE",
)  # fmt: skip
_LAWS_OF_ANY_RECORD: Final = ("HIPAANOPP", "HIPAAROI", "HIPAAConsentCD", "CommonRule")
_NO_SENSITIVITY: Final = frozenset({*_OBLIGATIONS, *_BIND_THE_RECEIVER, *_LAWS_OF_ANY_RECORD})
"""Codes of v3-ActCode that say nothing of the content. Any other unknown one counts as RESTRICTED."""

_ACT_CODES: Final = frozenset(
    {
        ACT_CODE,
        "http://hl7.org/fhir/v3/ActCode",
        "http://terminology.hl7.org/CodeSystem/v3-ActUSPrivacyLaw",
        "urn:oid:2.16.840.1.113883.5.4",
    }
)
_CONFIDENTIALITIES: Final = frozenset(
    {
        CONFIDENTIALITY,
        "http://hl7.org/fhir/v3/Confidentiality",
        "urn:oid:2.16.840.1.113883.5.25",
    }
)
_SAY_NOTHING: Final = frozenset(
    {
        "http://terminology.hl7.org/CodeSystem/v3-ActReason",
        "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
        "http://hl7.org/fhir/v3/ActReason",
        "http://hl7.org/fhir/v3/ObservationValue",
    }
)
"""Systems of purposes, and of integrity: labels, but none of sensitivity."""


def bits_of_coding(coding: Any) -> int:
    """The classes that one security label stands for; an unknown label is RESTRICTED, no label 0.

    A label without a system is taken for what its code says in any of the systems.
    """
    if not isinstance(coding, Mapping):
        return 0
    system, code = coding.get("system"), coding.get("code")
    if not isinstance(code, str):
        return 0
    if system in _SAY_NOTHING:
        return 0
    if system == NOTICE:
        return _SENSITIVITY.get(code, RESTRICTED)
    if system == OWN:
        return NAMES.get(code, RESTRICTED)
    if (system is None or system in _CONFIDENTIALITIES) and code in ("U", "L", "M", "N"):
        return 0
    if system is None or system in _ACT_CODES:
        return 0 if code in _NO_SENSITIVITY else _SENSITIVITY.get(code, RESTRICTED)
    return RESTRICTED


def bits_of_meta(document: Mapping[str, Any]) -> int:
    """The classes that `meta.security` of this resource says."""
    bits = 0
    for coding in _security(document):
        bits |= bits_of_coding(coding)
    return bits


def codings(bits: int) -> list[Coding]:
    """The labels to show for these classes, in the order of the bits."""
    return [dict(one) for bit, group in _CODINGS.items() if bits & bit for one in group]


def shown_by(code: str, system: str | None, *, any_system: bool) -> int:
    """The classes that are shown by this label, among others."""
    return sum(
        bit
        for bit, group in _CODINGS.items()
        if any(one["code"] == code and (any_system or one["system"] == system) for one in group)
    )


def names(bits: int) -> list[str]:
    """The words for these classes, in the order of the bits."""
    return [name for name, bit in NAMES.items() if bits & bit]


def splice(body: str, bits: int) -> str:
    """The stored JSON with these classes in `meta.security`; all else is the same text.

    What the sender said by itself is not said twice; of the confidentiality code there is one.
    """
    if not bits:
        return body
    top: dict[str, msgspec.Raw] = _members(body.encode())
    meta: dict[str, msgspec.Raw] = _members(top["meta"]) if "meta" in top else {}
    present = list(msgspec.json.decode(meta["security"])) if "security" in meta else []
    added = _added(bits, present)
    if not added:
        return body
    labels: list[msgspec.Raw] = (
        msgspec.json.decode(meta["security"], type=list[msgspec.Raw]) if present else []
    )
    security = [*labels, *(msgspec.Raw(fhir_json.encode(one)) for one in added)]
    spliced = {**meta, "security": msgspec.Raw(fhir_json.encode(security))}
    return fhir_json.encode({**top, "meta": msgspec.Raw(fhir_json.encode(spliced))}).decode()


def unspliced(
    document: dict[str, Any], bits: int, stored: Mapping[str, Any] | None
) -> dict[str, Any]:
    """A document that comes in, without the labels that `splice(stored, bits)` had shown its sender.

    stored: the document it is an update of, as stored; None: nothing was shown. The given document
    is left as it is.
    """
    if not bits or stored is None:
        return document
    shown = {_key(one) for one in _added(bits, _security(stored))}
    given = _security(document)
    kept = [one for one in given if _key(one) not in shown]
    if len(kept) == len(given):
        return document
    meta = {name: value for name, value in document["meta"].items() if name != "security"}
    if kept:
        meta = {
            name: kept if name == "security" else value for name, value in document["meta"].items()
        }
    return {**document, "meta": meta}


def _members(data: bytes | msgspec.Raw) -> dict[str, msgspec.Raw]:
    return msgspec.json.decode(data, type=dict[str, msgspec.Raw])


def _added(bits: int, present: Iterable[Any]) -> list[Coding]:
    there = {_key(one) for one in present}
    has_confidentiality = any(
        system in _CONFIDENTIALITIES and code in ("R", "V") for system, code in there
    )
    return [
        one
        for one in codings(bits)
        if _key(one) not in there and not (has_confidentiality and one["system"] == CONFIDENTIALITY)
    ]


def _security(document: Mapping[str, Any]) -> list[Any]:
    meta = document.get("meta")
    security = meta.get("security") if isinstance(meta, Mapping) else None
    return security if isinstance(security, list) else []


def _key(coding: Any) -> tuple[Any, Any]:
    if not isinstance(coding, Mapping):
        return (None, None)
    return (coding.get("system"), coding.get("code"))
