"""Reports of plays."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "play_reports",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("team_id", sa.String(length=64), nullable=False),
        sa.Column("playbook", sa.String(length=255), nullable=False),
        sa.Column("checking", sa.Boolean(), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("hosts", sa.Integer(), nullable=False),
        sa.Column("changed", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("unreachable", sa.Integer(), nullable=False),
        sa.Column("left_out", sa.Integer(), nullable=False),
        sa.Column("ansible_version", sa.String(length=64), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("created_by", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=False),
        sa.Column("request_key", sa.String(length=64), nullable=True),
        sa.Column("request_digest", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["team_id"], ["teams.id"], name=op.f("fk_play_reports_team_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_play_reports")),
    )
    op.create_index("ix_play_reports_request_key", "play_reports", ["request_key"])
    op.create_index("ix_play_reports_team_id_created_at", "play_reports", ["team_id", "created_at"])
    op.create_index(op.f("ix_play_reports_created_at"), "play_reports", ["created_at"])


def downgrade() -> None:
    op.drop_index(op.f("ix_play_reports_created_at"), table_name="play_reports")
    op.drop_index("ix_play_reports_team_id_created_at", table_name="play_reports")
    op.drop_index("ix_play_reports_request_key", table_name="play_reports")
    op.drop_table("play_reports")
