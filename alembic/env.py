"""How Alembic reaches the database: over the connection that store.migrate hands it."""

from __future__ import annotations

from alembic import context
from sqlalchemy import text

from coordhub.store.tables import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    compare_type=True,
    transaction_per_migration=True,
)
with context.begin_transaction():
    connection.execute(text("set local lock_timeout = '5s'"))
    context.run_migrations()
