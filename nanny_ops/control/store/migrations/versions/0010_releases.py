"""Releases of the agent."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "releases",
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("team_id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.String(length=64), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["team_id"], ["teams.id"], name=op.f("fk_releases_team_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_releases")),
    )
    op.create_table(
        "release_pieces",
        sa.Column("release_id", sa.String(length=128), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["release_id"], ["releases.id"], name=op.f("fk_release_pieces_release_id")),
        sa.PrimaryKeyConstraint("release_id", "position", name=op.f("pk_release_pieces")),
    )
    op.create_table(
        "release_signatures",
        sa.Column("release_id", sa.String(length=128), nullable=False),
        sa.Column("key_pk", sa.String(length=64), nullable=False),
        sa.Column("signature", sa.String(length=128), nullable=False),
        sa.Column("added_at", sa.BigInteger(), nullable=False),
        sa.Column("added_by", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(["release_id"], ["releases.id"], name=op.f("fk_release_signatures_release_id")),
        sa.ForeignKeyConstraint(["key_pk"], ["signing_keys.id"], name=op.f("fk_release_signatures_key_pk")),
        sa.PrimaryKeyConstraint("release_id", "key_pk", name=op.f("pk_release_signatures")),
    )


def downgrade() -> None:
    op.drop_table("release_signatures")
    op.drop_table("release_pieces")
    op.drop_table("releases")
