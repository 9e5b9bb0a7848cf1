"""Signing keys and what they have signed."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "signing_keys",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("key_id", sa.String(length=64), nullable=False),
        sa.Column("team_id", sa.String(length=64), nullable=True),
        sa.Column("public_key", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("is_control_plane", sa.Boolean(), nullable=False),
        sa.Column("added_at", sa.BigInteger(), nullable=False),
        sa.Column("added_by", sa.String(length=64), nullable=True),
        sa.Column("retired_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["team_id"], ["teams.id"], name=op.f("fk_signing_keys_team_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signing_keys")),
    )
    op.create_index(op.f("ix_signing_keys_team_id"), "signing_keys", ["team_id"], unique=False)
    op.create_table(
        "signing_key_endorsements",
        sa.Column("key_pk", sa.String(length=64), nullable=False),
        sa.Column("by_pk", sa.String(length=64), nullable=False),
        sa.Column("signature", sa.String(length=128), nullable=False),
        sa.Column("added_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["key_pk"], ["signing_keys.id"], name=op.f("fk_signing_key_endorsements_key_pk")),
        sa.ForeignKeyConstraint(["by_pk"], ["signing_keys.id"], name=op.f("fk_signing_key_endorsements_by_pk")),
        sa.PrimaryKeyConstraint("key_pk", "by_pk", name=op.f("pk_signing_key_endorsements")),
    )
    op.create_table(
        "script_signatures",
        sa.Column("script_id", sa.String(length=128), nullable=False),
        sa.Column("key_pk", sa.String(length=64), nullable=False),
        sa.Column("signature", sa.String(length=128), nullable=False),
        sa.Column("added_at", sa.BigInteger(), nullable=False),
        sa.Column("added_by", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(["script_id"], ["scripts.id"], name=op.f("fk_script_signatures_script_id")),
        sa.ForeignKeyConstraint(["key_pk"], ["signing_keys.id"], name=op.f("fk_script_signatures_key_pk")),
        sa.PrimaryKeyConstraint("script_id", "key_pk", name=op.f("pk_script_signatures")),
    )
