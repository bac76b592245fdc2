"""The history of resources on the workers of a Citus, all else where it was: on the coordinator.

https://docs.citusdata.com/en/stable/develop/reference_ddl.html

Superseded versions are what grows without end and is asked for least. They are spread by their shard; a write that
supersedes one, and a read of the past, are planned by Citus then, which keeps no generic plan (docs/scale.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg

from coordhub.store.roles import APPLICATION

if TYPE_CHECKING:
    from coordhub.store.engine import Connection

PLANNED_ANEW = {"plan_cache_mode": "force_custom_plan"}
"""For connections on which else plans are kept."""


class CannotDistributeError(Exception):
    """The text says what is missing."""


async def is_spread(conn: Connection) -> bool:
    """Whether the history lies on workers."""
    if await conn.fetchval("select to_regclass('pg_catalog.pg_dist_partition') is null"):
        return False
    return bool(
        await conn.fetchval(
            "select exists (select 1 from pg_dist_partition where logicalrelid = to_regclass('resource_version'))"
        )
    )


async def distribute(url: str) -> int:
    """Spread it over the workers that the coordinator at `url` knows; how many. url: a superuser's.

    Nothing may be written meanwhile. A second time it does nothing.
    """
    conn = await asyncpg.connect(url)
    try:
        if await conn.fetchval(
            "select not exists (select 1 from pg_extension where extname = 'citus')"
        ):
            raise CannotDistributeError(
                "this database has no extension citus. Create it on every server, then citus_add_node for each worker."
            )
        workers = int(await conn.fetchval("select count(*) from citus_get_active_worker_nodes()"))
        if workers == 0:
            raise CannotDistributeError("the coordinator knows no worker: select citus_add_node")
        if await conn.fetchval("select to_regclass('resource_version') is null"):
            raise CannotDistributeError("there are no tables yet: coordhub migrate")
        if await is_spread(conn):
            return workers
        # a worker is spoken to as whoever asks
        refused = await conn.fetch(
            "select result from run_command_on_all_nodes($1) where not success",
            f"alter role {APPLICATION} login",
        )
        if refused:
            raise CannotDistributeError(
                f"{APPLICATION} may not log in on a worker: {refused[0][0]}"
            )
        await conn.execute("select create_distributed_table('resource_version', 'shard')")
        await conn.execute(
            "select truncate_local_data_after_distributing_table('resource_version')"
        )
        return workers
    except asyncpg.InsufficientPrivilegeError as error:
        raise CannotDistributeError(f"{error}. Run it as a superuser.") from None
    finally:
        await conn.close()
