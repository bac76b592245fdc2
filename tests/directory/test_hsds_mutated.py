"""A feed with anything in its fields: rows are refused, nothing breaks, and what is made of the rest is FHIR."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import os
import zipfile
from random import Random
from typing import Any

from hsds_county import PANTRY, county

from coordhub.directory.hsds import reading
from coordhub.directory.hsds.entries import entries
from coordhub.directory.hsds.exporting import export
from coordhub.r4 import document as fhir_json
from coordhub.r4 import structure

FEEDS = int(os.environ.get("COORDHUB_MUTATED_FEEDS", "80"))
ODD: tuple[Any, ...] = (
    None, "", 0, -1, 1e308, True, [], {}, [[]], [None], ["x"], {"a": 1}, "NaN", "Infinity", "9" * 5000, "\x00",
    "2026-13-45", "24:99", "FREQ=;", "99MO", "-0MO", "MO,,", "http://[", "urn:", "{", "366", "+25:00",
    '{"type":"Polygon","coordinates":5}', "0000-00-00", "10:00+99:99", "1,2,x", "1e9", "temporarily closed",
)  # fmt: skip


def changed(random: Random, value: Any) -> Any:
    """One thing somewhere in it is another."""
    if isinstance(value, dict) and value:
        name = random.choice(list(value))
        kind = random.random()
        if kind < 0.1:
            return {key: inner for key, inner in value.items() if key != name}
        odd = random.choice(ODD) if kind < 0.45 else changed(random, value[name])
        return {**value, name: odd}
    if isinstance(value, list) and value:
        place = random.randrange(len(value))
        return [changed(random, one) if n == place else one for n, one in enumerate(value)]
    return random.choice(ODD)


def test_given_feeds_changed_at_random_when_read_then_no_fault_of_ours_and_valid_entries() -> None:
    taken = 0
    for seed in range(FEEDS):
        random = Random(seed)
        feed: Any = copy.deepcopy(random.choice([PANTRY, county(3)]))
        for _ in range(random.randint(1, 6)):
            feed = changed(random, feed)
        try:
            tables = reading.read({"feed.json": json.dumps(feed).encode()})
        except reading.UnreadableError:
            continue
        read = entries(tables, "ward", zone="America/New_York")
        for one in read.entries:
            document = fhir_json.parse(fhir_json.encode(one.document))
            assert [issue.expression for issue in structure.check(document)] == [], seed
        by = {f"{one.type}/{one.id}": one.document for one in read.entries}
        export([one.document for one in read.entries if one.type == "HealthcareService"], by, by)
        assert all(str(fault) for fault in tables.faults)
        taken += bool(read.entries)
    assert taken > FEEDS / 2


def test_given_a_zip_that_was_damaged_on_the_way_when_opened_then_it_is_said_and_nothing_breaks() -> (
    None
):
    random, refused = Random(1), 0
    for packed in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        held = io.BytesIO()
        with zipfile.ZipFile(held, "w", packed) as archive:
            archive.writestr("services.csv", "id,name\n" + "1,Pantry\n" * 500)
        for _ in range(100):
            damaged = bytearray(held.getvalue())
            for _ in range(random.randint(1, 6)):
                damaged[random.randrange(4, len(damaged))] = random.randrange(256)
            cut = random.randrange(5, len(damaged)) if random.random() < 0.3 else len(damaged)
            with contextlib.suppress(reading.UnreadableError):
                reading.unpacked({"feed.zip": bytes(damaged[:cut])})
                continue
            refused += 1
    assert refused > 100
