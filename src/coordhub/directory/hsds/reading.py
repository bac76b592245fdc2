"""The files of a source, read as HSDS: JSON, tables in CSV, a data package, any of them in a zip.

https://docs.openreferral.org/en/latest/hsds/serialization.html
https://specs.frictionlessdata.io/tabular-data-package/, https://www.rfc-editor.org/rfc/rfc4180

Versions 2.x and 3.x differ in names of tables and in where some things stand; what is given back is 3.x.
"""

from __future__ import annotations

import csv
import io
import lzma
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, Final

import msgspec

from coordhub.directory.hsds.rows import ANY, IGNORED, OWNERS, Fault, Row, Tables, table_of

LARGEST: Final = 512 * 1024 * 1024
"""Bytes that a zip may unpack to."""

DEEPEST: Final = 12
"""Objects within objects."""

_ONE: Final[Mapping[str, str]] = {
    "organization": "organization_id", "program": "program_id", "location": "location_id",
    "service": "service_id", "taxonomy_term": "taxonomy_term_id", "taxonomy_detail": "taxonomy_id",
    "unit": "unit_id",
}  # fmt: skip
"""Keys of one object that stands in another -> the column that refers to it in a table."""

_WEEKDAYS: Final = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")


class UnreadableError(Exception):
    """The source is no HSDS; the message says what was expected."""


def read(files: Mapping[str, bytes]) -> Tables:
    """files: name -> bytes. Raises UnreadableError where none of them is HSDS."""
    tables = Tables()
    known = False
    for name, data in unpacked(files).items():
        path = PurePosixPath(name)
        match path.suffix.lower():
            case ".csv":
                known = _read_csv(tables, name, data) or known
            case ".json" if path.name.lower() != "datapackage.json":
                known = _read_json(tables, name, data) or known
    if not known:
        raise UnreadableError(
            "nothing here is HSDS: name JSON or CSV files, a zip or a folder of them, a datapackage.json, or the "
            "address of an HSDS API"
        )
    return tables


_DAMAGED: Final = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, EOFError, ValueError, NotImplementedError,
    RuntimeError,
)  # fmt: skip
"""What is raised of a zip that was cut or changed on the way, or is packed or locked as nobody here can open."""


def unpacked(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Zips opened; raises UnreadableError for what is none."""
    found: dict[str, bytes] = {}
    for name, data in files.items():
        if not data.startswith(b"PK\x03\x04"):
            found[name] = data
            continue
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                inside = [one for one in archive.infolist() if not one.is_dir()]
                if sum(one.file_size for one in inside) > LARGEST:
                    raise UnreadableError(
                        f"{name} unpacks to more than {LARGEST} bytes: send it in parts"
                    )
                found |= {one.filename: archive.read(one) for one in inside}
        except _DAMAGED as error:
            raise UnreadableError(f"{name} cannot be unpacked: {type(error).__name__}") from None
    return found


def _read_csv(tables: Tables, name: str, data: bytes) -> bool:
    stem = PurePosixPath(name).stem
    table = table_of(stem)
    if table is None:
        if stem.lower() not in IGNORED:
            tables.faults.append(
                Fault(name, 1, "", "this table is none of HSDS: nothing of it is taken", False)
            )
        return False
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("windows-1252", errors="replace")
        tables.faults.append(
            Fault(name, 1, "", "is not UTF-8: save it as UTF-8. Read as Windows-1252", False)
        )
    csv.field_size_limit(64 * 1024 * 1024)
    reader = csv.DictReader(io.StringIO(text))
    try:
        for number, values in enumerate(reader, 2):
            if None in values:
                tables.faults.append(
                    Fault(
                        name,
                        number,
                        "",
                        "has more fields than the head: put text with commas in quotes",
                    )
                )
                continue
            clean = {
                str(key).strip().lower(): value.strip() for key, value in values.items() if value
            }
            if clean:
                _table_row(tables, stem.lower(), table, clean, name, number)
    except csv.Error as error:
        tables.faults.append(Fault(name, reader.line_num, "", f"{error}: nothing after it is read"))
    return True


def _table_row(
    tables: Tables, stated: str, table: str, values: dict[str, Any], file: str, number: int
) -> None:
    """A row by its columns, those of 2.x put into words of 3.x."""
    if stated.startswith(("physical_address", "postal_address")):
        values = {**values, "address_type": stated.partition("_")[0]}
    if stated in ("taxonomy", "taxonomies") and ("parent_id" in values or "vocabulary" in values):
        table = "taxonomy_terms"
        values = {**values, "taxonomy": values.get("vocabulary", values.get("taxonomy", ""))}
    if table == "attributes" and "link_id" not in values and "service_id" in values:
        term = values.get("taxonomy_term_id") or values.get("taxonomy_id", "")
        values = {**values, "link_id": values["service_id"], "taxonomy_term_id": term}
    if table == "schedules" and "weekday" in values:
        values = {**values, "freq": "WEEKLY", "byday": _weekday(str(values["weekday"]))}
    row = Row(table, str(values.get("id") or ""), values, file, number)
    if table == "attributes":
        tables.add(row, [(ANY, str(values.get("link_id") or ""))])
        return
    tables.add(
        row, [(owner, str(values[name])) for name, owner in OWNERS.items() if values.get(name)]
    )


def _weekday(stated: str) -> str:
    """2.x says 1 to 7 from Monday on, or the name; what is neither stays, to be refused where it is read."""
    if stated.isdigit() and 1 <= int(stated) <= 7:
        return _WEEKDAYS[int(stated) - 1]
    return stated[:2].upper()


def _read_json(tables: Tables, name: str, data: bytes) -> bool:
    try:
        stated = msgspec.json.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        tables.faults.append(Fault(name, 1, "", "is no JSON: nothing of it is taken"))
        return False
    return _Objects(tables, name).read(stated, table_of(PurePosixPath(name).stem))


class _Objects:
    """Objects of one document, those that stand in others too, as rows."""

    def __init__(self, tables: Tables, file: str) -> None:
        self._tables, self._file, self._row = tables, file, 0

    def read(self, stated: Any, table: str | None) -> bool:
        """table: what its name says that it holds. Whether anything in it was HSDS."""
        if isinstance(stated, dict) and isinstance(stated.get("contents"), list):
            stated = stated["contents"]
        if isinstance(stated, list):
            found = [self._read_one(one, table) for one in stated]
            return any(found)
        if isinstance(stated, dict):
            lists = {
                key: value
                for key, value in stated.items()
                if isinstance(value, list) and table_of(PurePosixPath(key).stem)
            }
            if lists and "id" not in stated:  # a table under each name
                for key, value in lists.items():
                    stem = PurePosixPath(key).stem
                    for one in value:
                        if isinstance(one, dict):
                            self._row += 1
                            if any(isinstance(inner, dict | list) for inner in one.values()):
                                self._take(one, table_of(stem) or "", [], 0, self._row)
                            else:
                                kept = {k.lower(): v for k, v in one.items() if v not in (None, "")}
                                _table_row(
                                    self._tables, stem.lower(), table_of(stem) or "", kept,
                                    self._file, self._row,
                                )  # fmt: skip
                return True
            return self._read_one(stated, table)
        return False

    def _read_one(self, stated: Any, table: str | None) -> bool:
        if not isinstance(stated, dict) or "id" not in stated:
            return False
        meant = table or _meant(stated)
        if meant is None:
            return False
        self._row += 1
        self._take(stated, meant, [], 0, self._row)
        return True

    def _take(
        self,
        stated: Mapping[str, Any],
        table: str,
        owners: list[tuple[str, str]],
        depth: int,
        number: int,
    ) -> None:
        if depth > DEEPEST:
            self._tables.faults.append(
                Fault(self._file, number, table, "is nested too deep: leave it out")
            )
            return
        own, values = str(stated.get("id") or ""), dict(_plain(stated))
        for key, column in _ONE.items():
            inner = stated.get(key)
            if isinstance(inner, dict) and (found := table_of(_TABLE.get(key, key))):
                if inner.get("id"):
                    values[column] = str(inner["id"])
                self._take(inner, found, [(table, own)], depth + 1, number)
        for owner, owner_id in owners:
            column = f"{owner.removesuffix('s')}_id"
            if column in OWNERS and table == "service_at_locations":
                values.setdefault(column, owner_id)
            if owner == "organizations" and table in ("services", "programs", "locations"):
                values.setdefault("organization_id", owner_id)
        if table == "attributes":
            named = [(ANY, str(values["link_id"]))] if values.get("link_id") else []
            owners = named or [(ANY, owner_id) for _, owner_id in owners]
        elif not owners:
            owners = [
                (owner, str(values[name])) for name, owner in OWNERS.items() if values.get(name)
            ]
        self._tables.add(Row(table, own, values, self._file, number), owners)
        for key, inner in stated.items():
            found = table_of(key)
            if isinstance(inner, list) and found:
                for one in inner:
                    if isinstance(one, dict):
                        self._take(one, found, [(table, own)], depth + 1, number)


_TABLE: Final[Mapping[str, str]] = {"taxonomy_detail": "taxonomy"}


def _plain(stated: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    return ((key, value) for key, value in stated.items() if not isinstance(value, dict | list))


def _meant(stated: Mapping[str, Any]) -> str | None:
    """Which table an object is of, by what it has."""
    for table, names in _MARKS:
        if any(name in stated for name in names):
            return table
    return None


_MARKS: Final = (
    ("service_at_locations", ("location", "location_id")),
    ("locations", ("location_type", "latitude", "transportation", "addresses")),
    ("services", ("status", "service_at_locations", "application_process", "organization_id", "organization")),
    ("taxonomy_terms", ("parent_id", "taxonomy", "taxonomy_detail", "term_uri", "code")),
    ("organizations", ("legal_status", "website", "services", "locations", "description")),
)  # fmt: skip
