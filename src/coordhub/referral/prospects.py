"""Those who could meet a need, as they are written down: why each may be asked, and why not, as codes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from coordhub.referral.matching import Finding

NAMED: Final = Finding("found", "met", "named")
SUGGESTED: Final = Finding("found", "met", "suggested")
MATCHED: Final = Finding("found", "met", "matched")
"""Criterion `found`: by its sender, by a person who was asked to find somebody, by the hub."""

CONSENT_MISSING: Final = Finding("consent", "failed", "consent-missing")
NOT_AGREED: Final = Finding("agreement", "failed", "kind-not-agreed")
UNKNOWN: Final = Finding("reachable", "failed", "recipient-unknown")


def written(findings: Iterable[Finding]) -> str:
    return msgspec.json.encode(list(findings)).decode()


def read(text: str) -> list[Finding]:
    return msgspec.json.decode(text, type=list[Finding])


def failed(findings: Iterable[Finding]) -> list[str]:
    """Codes of why somebody is out."""
    return [one.code for one in findings if one.outcome == "failed"]


def reason(outs: Sequence[str]) -> str:
    """Code of task_machine.REASONS of why nobody may be asked, by what is written of each who is out."""
    codes = {code for text in outs for code in failed(read(text))}
    if not codes:
        return "no-provider-available"
    if "consent-missing" in codes or "patient-declined" in codes:
        return "consent-missing"
    return "recipient-unknown" if "recipient-unknown" in codes else "no-provider-available"
