"""Which tables could be spread over several servers, and what each unique key needs for it.

A distributed Postgres keeps a key unique only where it holds the column by which the table is spread. Here
that is `shard`, the last byte of a rid. Each key without it is named here with why that can be mended or
does not matter, so that a new one is thought about on the day it is written.

https://docs.citusdata.com/en/stable/develop/reference_ddl.html
"""

from __future__ import annotations

from sqlalchemy import PrimaryKeyConstraint, Table, UniqueConstraint

from coordhub.store.tables import metadata

SPREAD = {name for name, table in metadata.tables.items() if "shard" in table.c}

FOLLOWS = {"access_grant", "candidate", "episode", "errand", "fetching", "need", "prospect", "result",
           "revealed", "subscription", "subscription_deletion", "subscription_event"}  # fmt: skip
"""Their keys hold a rid whose last byte is the row's shard: with `shard` added they say the same."""

OPEN = {
    "assigned_id": "ids that clients choose are unique over all shards: stays in one place",
    "change": "seq is one sequence; (rid, version) follows from rid",
    "counterpart": "a partner's id is unique at that partner, whatever the shard here",
    "delivery": "its id is random; (change, organization, endpoint, rid) has a rid of another shard",
    "reminder": "an id of its own",
    "subscription_secret": "an id of its own",
    "timer": "id is of its own; (subject, kind) follows from subject",
}
"""Spread, with keys that `shard` would have to be added to, and what that would change."""


def keys(table: Table) -> list[set[str]]:
    """Columns of each key of a table that is to be unique."""
    constraints = [
        {column.name for column in each.columns}
        for each in table.constraints
        if isinstance(each, UniqueConstraint | PrimaryKeyConstraint) and len(each.columns)
    ]
    return constraints + [
        {column.name for column in each.columns} for each in table.indexes if each.unique
    ]


def lacking(name: str) -> list[set[str]]:
    return [key for key in keys(metadata.tables[name]) if "shard" not in key]


def test_given_a_table_that_is_spread_when_a_key_lacks_the_shard_then_it_is_named_here() -> None:
    assert {name for name in SPREAD if lacking(name)} == FOLLOWS | OPEN.keys()


def test_given_a_key_that_follows_from_a_rid_when_looked_at_then_it_has_one() -> None:
    rids = {"rid", "episode", "task", "subject", "id", "subscription"}
    for name in FOLLOWS:
        assert all(key & rids for key in lacking(name)), name
