"""Runs of playbooks on hosts that the fleet does not know yet."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("playbook_runs", sa.Column("added", sa.JSON(), server_default="{}", nullable=False))


def downgrade() -> None:
    op.drop_column("playbook_runs", "added")
