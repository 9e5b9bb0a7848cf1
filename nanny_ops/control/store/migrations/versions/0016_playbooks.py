"""Runs of playbooks."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "playbook_runs",
        *_texts("id", "team_id", "home", "playbook"),
        sa.Column("origin", sa.String(length=16), nullable=False),
        *_texts("digest", "subject"),
        sa.Column("vars", sa.JSON(), nullable=False),
        sa.Column("only", sa.JSON(), nullable=False),
        sa.Column("checking", sa.Boolean(), nullable=False),
        sa.Column("checked_by", sa.String(length=64), nullable=True),
        sa.Column("unchecked_reason", sa.Text(), nullable=False),
        sa.Column("timeout_seconds", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("outcome", sa.String(length=32), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("hosts", sa.JSON(), nullable=False),
        sa.Column("exit_code", sa.Integer(), nullable=True),
        sa.Column("events", sa.Integer(), nullable=False),
        sa.Column("left_out", sa.Integer(), nullable=False),
        *_texts("created_by"),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        *[
            sa.Column(name, sa.BigInteger(), nullable=True)
            for name in ("started_at", "followed_at", "ended_at", "cancel_at")
        ],
        sa.ForeignKeyConstraint(["team_id"], ["teams.id"], name=op.f("fk_playbook_runs_team_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_playbook_runs")),
    )
    op.create_index(op.f("ix_playbook_runs_subject"), "playbook_runs", ["subject"], unique=False)
    op.create_index("ix_playbook_runs_team_id_created_at", "playbook_runs", ["team_id", "created_at"], unique=False)
    op.create_index("ix_playbook_runs_home_status", "playbook_runs", ["home", "status"], unique=False)


def downgrade() -> None:
    for name in ("home_status", "team_id_created_at", "subject"):
        op.drop_index(f"ix_playbook_runs_{name}", table_name="playbook_runs")
    op.drop_table("playbook_runs")


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.String(length=64), nullable=False) for name in names]
