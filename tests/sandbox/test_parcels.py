from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from coordhub.sandbox import parcels
from coordhub.sandbox.parcels import Parcel, Unreadable


def write(path: Path, *documents: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "\n".join(json.dumps(document) for document in documents).encode()
    path.write_bytes(gzip.compress(text) if path.name.endswith(".gz") else text)
    return path


PATIENT = {"resourceType": "Patient", "active": True}


def test_given_a_folder_when_staged_then_underscored_folders_go_first_one_file_at_a_time(
    tmp_path: Path,
) -> None:
    names = [
        "_first/b.json",
        "_first/a.json.gz",
        "patients/c.ndjson",
        "d.json",
        "patients/_x/e.json",
    ]
    for name in names:
        write(tmp_path / name, PATIENT)
    write(tmp_path / "README.md", {})

    staged = [[path.name for path in group] for group in parcels.stages([tmp_path])]

    assert staged == [["a.json.gz"], ["b.json"], ["e.json"], ["d.json", "c.ndjson"]]


def test_given_a_path_that_is_not_there_when_staged_then_it_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="missing"):
        parcels.stages([tmp_path / "missing.json"])


def test_given_a_transaction_when_read_then_its_bytes_go_to_the_base_as_they_are(
    tmp_path: Path,
) -> None:
    text = b'{ "resourceType":"Bundle", "type":"transaction", "entry":[ ], "x":1.00}'
    path = tmp_path / "one.json"
    path.write_bytes(text)

    (found,) = parcels.read(path)

    assert isinstance(found, Parcel)
    assert (found.path, found.body) == ("", text)


def test_given_a_collection_when_read_then_it_becomes_a_transaction_digit_for_digit(
    tmp_path: Path,
) -> None:
    path = tmp_path / "one.json"
    path.write_text(
        '{"resourceType":"Bundle","type":"collection","entry":[{"fullUrl":"urn:uuid:1",'
        '"resource":{"resourceType":"Observation","valueQuantity":{"value":7.50}}}]}'
    )

    (found,) = parcels.read(path)

    assert isinstance(found, Parcel)
    assert found.path == ""
    assert b'"value":7.50' in found.body
    (entry,) = json.loads(found.body)["entry"]
    assert entry["fullUrl"] == "urn:uuid:1"
    assert entry["request"] == {"method": "POST", "url": "Observation"}


def test_given_lines_when_read_then_each_is_a_parcel_with_a_key_of_its_content(
    tmp_path: Path,
) -> None:
    path = write(tmp_path / "many.ndjson.gz", PATIENT, PATIENT, {"resourceType": "Task"})

    first, second, third = parcels.read(path)

    assert isinstance(first, Parcel)
    assert isinstance(second, Parcel)
    assert isinstance(third, Parcel)
    assert [first.path, second.path, third.path] == ["/Patient", "/Patient", "/Task"]
    assert len({first.key, second.key, third.key}) == 3
    assert [again.key for again in parcels.read(path) if isinstance(again, Parcel)] == [
        first.key,
        second.key,
        third.key,
    ]
    assert third.name == "many.ndjson.gz:3"
    assert parcels.count(path) == 3


@pytest.mark.parametrize("text", ["{", "[]", '{"type":"x"}', '"Patient"', '{"resourceType":3}'])
def test_given_what_is_no_resource_when_read_then_it_is_said_without_its_content(
    text: str, tmp_path: Path
) -> None:
    path = tmp_path / "odd.json"
    path.write_text(text)

    (found,) = parcels.read(path)

    assert isinstance(found, Unreadable)
    assert found.name == "odd.json"


def test_given_a_broken_archive_when_read_then_it_is_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "odd.ndjson.gz"
    path.write_bytes(gzip.compress(b'{"resourceType":"Patient"}\n' * 50)[:-12])

    assert isinstance(list(parcels.read(path))[-1], Unreadable)
    assert parcels.count(path) == 0
