"""Who carries an operation out, until when its target is held for it, and who waits for that target."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

INSTANTS = ("silent_at", "held_until", "asked_at")


def upgrade() -> None:
    op.add_column("operations", sa.Column("claim", sa.String(length=64), nullable=True))
    for name in INSTANTS:
        op.add_column("operations", sa.Column(name, sa.BigInteger(), nullable=True))
    for name in ("held_until", "asked_at"):
        op.create_index(op.f(f"ix_operations_{name}"), "operations", [name], unique=False)
    op.execute("UPDATE operations SET held_until = expires_at WHERE status = 'running' AND kind = 'patch'")


def downgrade() -> None:
    for name in ("held_until", "asked_at"):
        op.drop_index(op.f(f"ix_operations_{name}"), table_name="operations")
    for name in ("claim", *INSTANTS):
        op.drop_column("operations", name)
