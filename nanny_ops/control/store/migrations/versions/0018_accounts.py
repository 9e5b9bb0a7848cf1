"""Since when a person's access tokens count."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("users", sa.Column("sessions_since", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("users", "sessions_since")
