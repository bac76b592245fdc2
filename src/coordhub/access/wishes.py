"""What an app asks for, by SMART's words; pure.

http://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html

Besides scopes on resources (`access.scopes`) an app may wish to be told who signed in, to have a patient chosen,
and to come back without the person. What is not understood here is not granted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from coordhub.access import scopes
from coordhub.access.scopes import Scopes

OPENID: Final = "openid"
FHIR_USER: Final = "fhirUser"
LAUNCH: Final = "launch"
LAUNCH_PATIENT: Final = "launch/patient"
OFFLINE: Final = "offline_access"
ONLINE: Final = "online_access"
WORDS: Final = (OPENID, FHIR_USER, LAUNCH, LAUNCH_PATIENT, OFFLINE, ONLINE)


@dataclass(frozen=True, slots=True)
class Wish:
    """on: what of the resources. words: the others, of WORDS."""

    on: Scopes
    words: frozenset[str]

    def meet(self, other: Wish) -> Wish:
        return Wish(self.on.meet(other.on), self.words & other.words)

    def stated(self) -> str:
        return " ".join([*(each for each in WORDS if each in self.words), self.on.stated()]).strip()

    def each(self) -> list[str]:
        """Its scopes one by one, as a person may allow or refuse them."""
        return [
            *(each for each in WORDS if each in self.words),
            *(one.stated() for one in self.on.grants),
        ]

    def narrowed(self, kept: frozenset[str]) -> Wish:
        """Only those of `each` that are named."""
        grants = tuple(one for one in self.on.grants if one.stated() in kept)
        return Wish(Scopes(self.on.text, grants), self.words & kept)

    @property
    def needs_patient(self) -> bool:
        """A scope on a chart means nothing without one."""
        return LAUNCH_PATIENT in self.words or any(one.level == "patient" for one in self.on.grants)

    def __bool__(self) -> bool:
        return bool(self.on) or OPENID in self.words


def read(text: str) -> Wish:
    words = frozenset(text.split()) & frozenset(WORDS)
    if OPENID not in words:  # who signed in is told in the identity token
        words -= {FHIR_USER}
    return Wish(scopes.parse(text, scopes.APP), words)
