"""The published example of HSDS 3, as JSON and as tables, read twice: the second time nothing is written.

https://github.com/openreferral/specification (CC BY-SA; it is not part of this repository)
"""

from __future__ import annotations

from pathlib import Path

import pytest
from open_hub import House

from coordhub.record import feeds
from coordhub.routing import feeding
from coordhub.store import feeds as store

EXAMPLE = Path(__file__).parents[3] / "shared" / "data" / "hsds-3.0"


@pytest.mark.parametrize("folder", [EXAMPLE, EXAMPLE / "csv"])
async def test_given_the_published_example_when_read_twice_then_the_second_time_nothing_is_written(
    house: House, folder: Path
) -> None:
    if not folder.is_dir():
        pytest.skip("the shared examples are not on this machine")
    async with house.engine.pool.acquire() as conn:
        await store.keep(conn, "example", str(folder), "Europe/London", None, None)
        feed = await store.by_name(conn, "example")
    assert feed is not None
    async with feeding.outbound([]) as client:
        files = await feeding.files_of(feed.source, client)
    first = await feeds.take_in(house.hub, feed, files)
    assert (first.entries, first.written, first.refused) == (4, 4, 0)
    assert {"latitude", "extent"} <= {
        one.field for one in first.faults
    }  # it says 100 degrees, and no polygon
    again = await feeds.take_in(house.hub, feed, files)
    assert (again.written, again.unchanged, again.gone) == (0, 4, 0)
