"""SQL, and nothing else speaks it.

The rule: whatever reads a resource for someone takes a Viewer and adds `visibility.visible` to its
statement; whatever writes goes through `transact`. Query functions take the connection first, keep no
state, open no transaction. `tables` is what there is; `alembic/` is how it came to be.

Words: *rid* (bigint surrogate of a resource, carries its shard), *shard*, *source* (whose resource it
is), *author* (who wrote this version), *grant*, *change*, *delivery*, *lease*.
"""
