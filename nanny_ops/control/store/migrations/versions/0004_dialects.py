"""What an agent speaks."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("agents", sa.Column("dialect", sa.String(length=16), server_default="guide", nullable=False))


def downgrade() -> None:
    op.drop_column("agents", "dialect")
