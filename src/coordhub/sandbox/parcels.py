"""Files of FHIR JSON as requests to send: what goes where, in which order, under which key.

http://hl7.org/fhir/R4/http.html#transaction, http://hl7.org/fhir/R4/nd-json.html

Read are .json and .ndjson, each also as .gz. A transaction or batch goes to the base as it came; a
collection or searchset becomes a transaction, so that references among its entries hold; anything
else is created as the one resource it is. The Idempotency-Key is made of the content, so sending
the same file again is answered, not repeated.
"""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from coordhub.errors import FhirError
from coordhub.r4 import document as fhir_json

SUFFIXES = (".json", ".ndjson")
_TO_TRANSACTION = {"collection", "searchset"}
_TO_BASE = {"transaction", "batch"}


@dataclass(frozen=True, slots=True)
class Parcel:
    """One request.

    name: the file, and the line where it is one of many. path: below the base, "" or "/Type".
    """

    name: str
    path: str
    body: bytes
    key: str


@dataclass(frozen=True, slots=True)
class Unreadable:
    """What cannot be sent, and why; nothing of its content."""

    name: str
    why: str


class _Head(msgspec.Struct):
    resourceType: str = ""
    type: msgspec.Raw = msgspec.Raw(b"null")


def stages(paths: Sequence[Path]) -> list[list[Path]]:
    """The files in groups that must follow one another; within a group the order is free.

    A folder whose name starts with `_` goes before its siblings, its files one after the other by
    name: later ones may refer to earlier ones. Raises FileNotFoundError.
    """
    groups: list[list[Path]] = []
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(path)
        groups.extend(_stages(path) if path.is_dir() else [[path]])
    return groups


def _stages(folder: Path) -> list[list[Path]]:
    children = sorted(child for child in folder.iterdir() if not child.name.startswith("."))
    first = [child for child in children if child.is_dir() and child.name.startswith("_")]
    groups = [[path] for child in first for group in _stages(child) for path in group]
    together = [child for child in children if child.is_file() and _is_fhir(child)]
    for child in children:
        if child.is_dir() and child not in first:
            *before, last = _stages(child) or [[]]
            groups.extend(before)
            together.extend(last)
    return [*groups, together] if together else groups


def _is_fhir(path: Path) -> bool:
    return path.name.removesuffix(".gz").endswith(SUFFIXES)


def count(path: Path) -> int:
    """How many parcels a file holds: one, or its lines with content; 0 if it cannot be read."""
    if not _by_line(path):
        return 1
    try:
        with _open(path) as lines:
            return sum(1 for line in lines if line.strip())
    except (OSError, EOFError, zlib.error):
        return 0


def read(path: Path) -> Iterator[Parcel | Unreadable]:
    """The parcels of a file in their order."""
    try:
        with _open(path) as source:
            if not _by_line(path):
                yield parcel(path.name, path.name, source.read(), 0)
                return
            seen: Counter[bytes] = Counter()
            for number, line in enumerate(source, 1):
                if content := line.strip():
                    digest = hashlib.sha256(content).digest()
                    yield parcel(path.name, f"{path.name}:{number}", content, seen[digest])
                    seen[digest] += 1
    except (OSError, EOFError, zlib.error) as error:
        yield Unreadable(path.name, f"The file cannot be read: {type(error).__name__}.")


def parcel(file: str, name: str, content: bytes, repetition: int) -> Parcel | Unreadable:
    """What to send for one JSON text; repetition: how often it came before in the same file."""
    try:
        head = msgspec.json.decode(content, type=_Head)
        kind = msgspec.json.decode(head.type) if head.resourceType == "Bundle" else None
        if isinstance(kind, str) and kind in _TO_TRANSACTION:
            path, body = "", fhir_json.encode(_as_transaction(fhir_json.parse(content)))
        elif kind in _TO_BASE:
            path, body = "", content
        elif head.resourceType:
            path, body = f"/{head.resourceType}", content
        else:
            return Unreadable(name, "The text is JSON without a resourceType.")
    except (msgspec.MsgspecError, FhirError, UnicodeDecodeError):
        return Unreadable(name, "The text is not a JSON object that can be read.")
    mark = hashlib.sha256(b"\0".join((file.encode(), content, str(repetition).encode())))
    return Parcel(name, path, body, f"load-{mark.hexdigest()[:40]}")


def _as_transaction(bundle: dict[str, Any]) -> dict[str, Any]:
    entries = [
        {
            **({"fullUrl": entry["fullUrl"]} if "fullUrl" in entry else {}),
            "resource": entry["resource"],
            "request": {"method": "POST", "url": entry["resource"].get("resourceType", "")},
        }
        for entry in bundle.get("entry", [])
        if isinstance(entry, dict) and isinstance(entry.get("resource"), dict)
    ]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def _by_line(path: Path) -> bool:
    return path.name.removesuffix(".gz").endswith(".ndjson")


def _open(path: Path) -> Any:
    return gzip.open(path, "rb") if path.name.endswith(".gz") else path.open("rb")
