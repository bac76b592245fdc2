"""The tables: what is stored, and what Postgres itself refuses.

Every table that holds or points at a resource carries `shard` (a logical shard hashed from the
patient) in its key, and every resource and index row carries `source` (the rid of the organization
that wrote it) and `patient` (the rid of its Patient, null for what has none), so that visibility is
decided on the row that is searched and the whole can be spread by patient on a distributed Postgres.

A `rid` is a bigint surrogate of a resource: `sequence << 8 | shard`. Index rows have no foreign keys
(one lookup and one lock each) and no row is ever updated in `resource_version`, `change`, `attempt`
and `audit`, except for `change.relayed_at`.
"""

from __future__ import annotations

from coordhub.store.tables import (
    access,
    authorization,
    cards,
    delivery,
    feeds,
    identity,
    index,
    mail,
    onboarding,
    operation,
    partners,
    people,
    referral,
    resources,
)
from coordhub.store.tables.columns import Xid8, metadata

__all__ = [
    "Xid8",
    "access",
    "authorization",
    "cards",
    "delivery",
    "feeds",
    "identity",
    "index",
    "mail",
    "metadata",
    "onboarding",
    "operation",
    "partners",
    "people",
    "referral",
    "resources",
]
