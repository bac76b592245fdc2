"""How common each name is, added up from what each write changes about it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0098_name_count"
down_revision = "0080_roles"
branch_labels = None
depends_on = None

FUNCTION = """
create function note_names() returns trigger language plpgsql as $body$
-- Names that came to be said, or are said no more: of the keys of the kinds given (9) and surname (10).
begin
    insert into name_change (param, key, number)
    select m.param, m.key, (case tg_op when 'INSERT' then 1 else -1 end) * count(*)
    from moved m where m.param in (9, 10) group by m.param, m.key;
    return null;
end
$body$
"""


def upgrade() -> None:
    op.create_table(
        "name_change",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column(
            "param", sa.SmallInteger(), nullable=False, comment="kind of key: given or surname"
        ),
        sa.Column("key", sa.BigInteger(), nullable=False, comment="digest of a name"),
        sa.Column(
            "number",
            sa.BigInteger(),
            nullable=False,
            comment="so many records more say it, or less",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("name_change_pkey")),
        comment="Names that came to be said or are said no more, and are not added up yet",
    )
    op.create_table(
        "name_count",
        sa.Column(
            "param",
            sa.SmallInteger(),
            nullable=False,
            comment="kind of key: given or surname; 0: all of the kind that `key` says",
        ),
        sa.Column("key", sa.BigInteger(), nullable=False, comment="digest of a name"),
        sa.Column("number", sa.BigInteger(), nullable=False, comment="so many records say it"),
        sa.PrimaryKeyConstraint("param", "key", name=op.f("name_count_pkey")),
        comment="How common names are; of no record, and of none that a victim service provider keeps",
    )
    op.execute(FUNCTION)
    for act, rows in (("insert", "new"), ("delete", "old")):
        op.execute(
            f"create trigger note_names_{act} after {act} on idx_person referencing {rows} table as moved"
            " for each statement execute function note_names()"
        )
    op.execute(
        "insert into name_change (param, key, number)"
        " select param, key, count(*) from idx_person where param in (9, 10) group by param, key"
    )


def downgrade() -> None:
    for act in ("insert", "delete"):
        op.execute(f"drop trigger note_names_{act} on idx_person")
    op.execute("drop function note_names")
    op.drop_table("name_count")
    op.drop_table("name_change")
