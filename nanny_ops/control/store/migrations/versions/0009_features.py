"""What agents say they can do, and what jobs tell beside their packages."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("agents", sa.Column("features", sa.JSON(), nullable=False, server_default="[]"))
    op.add_column("package_changes", sa.Column("size", sa.BigInteger(), nullable=True))
    op.create_table(
        "patch_reports",
        sa.Column("operation_id", sa.String(length=64), nullable=False),
        sa.Column("team_id", sa.String(length=64), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["operation_id"], ["operations.id"], name=op.f("fk_patch_reports_operation_id")),
        sa.ForeignKeyConstraint(["team_id"], ["teams.id"], name=op.f("fk_patch_reports_team_id")),
        sa.PrimaryKeyConstraint("operation_id", name=op.f("pk_patch_reports")),
    )


def downgrade() -> None:
    op.drop_table("patch_reports")
    op.drop_column("package_changes", "size")
    op.drop_column("agents", "features")
