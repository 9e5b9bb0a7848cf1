"""What was dropped of old operations, how they are found, and since when a node rests."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("breakers", sa.Column("opened_at", sa.BigInteger(), nullable=True))
    op.add_column("operations", sa.Column("outputs_dropped_at", sa.BigInteger(), nullable=True))
    op.create_index("ix_operations_finished_at", "operations", ["finished_at"])
    op.create_index("ix_operations_outputs", "operations", ["outputs_dropped_at", "finished_at"])
    op.create_index(op.f("ix_packages_operation_id"), "packages", ["operation_id"])


def downgrade() -> None:
    op.drop_index(op.f("ix_packages_operation_id"), table_name="packages")
    op.drop_index("ix_operations_outputs", table_name="operations")
    op.drop_index("ix_operations_finished_at", table_name="operations")
    op.drop_column("operations", "outputs_dropped_at")
    op.drop_column("breakers", "opened_at")
