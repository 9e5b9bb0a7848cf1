"""How well hosts and guests are kept."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "upkeep",
        sa.Column("scope", sa.String(length=64), nullable=False),
        sa.Column("target", sa.String(length=128), nullable=False),
        sa.Column("team_id", sa.String(length=64), nullable=False),
        sa.Column("looked_at", sa.BigInteger(), nullable=True),
        sa.Column("operation_id", sa.String(length=64), nullable=True),
        sa.Column("tried_at", sa.BigInteger(), nullable=True),
        sa.Column("trouble", sa.Text(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["team_id"], ["teams.id"], name=op.f("fk_upkeep_team_id")),
        sa.PrimaryKeyConstraint("scope", "target", name=op.f("pk_upkeep")),
    )
    op.create_index("ix_upkeep_team_id", "upkeep", ["team_id"])


def downgrade() -> None:
    op.drop_index("ix_upkeep_team_id", table_name="upkeep")
    op.drop_table("upkeep")
