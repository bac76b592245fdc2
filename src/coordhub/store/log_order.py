"""The change log in the order of its transactions, and of each resource in the order of its versions.

A transaction may have begun before one that it waited for: then the newer version stands before the older,
and is told in the place of that. Of what is before the oldest transaction that still runs, both are there.
"""

from __future__ import annotations

from typing import Final

LAST_VERSION: Final = 2**31 - 1
"""Beyond every version."""

IN_PLACE: Final = (
    "lateral (select c.* from change c where c.rid = p.rid and c.version >= p.version"
    "  and c.version < coalesce((select min(o.version) from change o where o.rid = p.rid"
    f"   and o.version > p.version and (o.xid, o.seq) > (p.xid, p.seq)), {LAST_VERSION})) c"
)
"""Of each change `p` all that is told in its place: `c`, itself and newer versions that stand before it."""

WAITS: Final = (
    "exists (select from change o where o.rid = p.rid and o.version < p.version"
    " and (o.xid, o.seq) > (p.xid, p.seq))"
)
"""Whether an older version stands behind `p`, in whose place it is told."""
