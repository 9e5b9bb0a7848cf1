"""Batches of patch orders, packages that are held back, nodes that are given a rest."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "patch_batches",
        *_texts("id", "team_id"),
        sa.Column("request", sa.JSON(), nullable=False),
        sa.Column("skipped", sa.JSON(), nullable=False),
        sa.Column("placed", sa.Integer(), nullable=False),
        *_texts("created_by"),
        *_instants("created_at", nullable=False),
        *_instants("cancelled_at"),
        sa.Column("request_key", sa.String(length=64), nullable=True),
        sa.Column("request_digest", sa.String(length=64), nullable=True),
        *_keys("patch_batches", "id"),
    )
    op.create_index(op.f("ix_patch_batches_request_key"), "patch_batches", ["request_key"], unique=False)
    op.create_index("ix_patch_batches_team_id_created_at", "patch_batches", ["team_id", "created_at"], unique=False)
    op.create_table(
        "package_exceptions",
        *_texts("id", "team_id"),
        sa.Column("scope", sa.String(length=16), nullable=False),
        sa.Column("object", sa.String(length=255), nullable=False),
        sa.Column("package", sa.String(length=255), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        *_texts("created_by"),
        *_instants("created_at", nullable=False),
        *_instants("expires_at", "removed_at"),
        *_keys("package_exceptions", "id"),
    )
    op.create_index("ix_package_exceptions_team_id_scope", "package_exceptions", ["team_id", "scope"], unique=False)
    op.create_table(
        "breakers",
        *_texts("agent_id", "team_id"),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        *_instants("failed_at", nullable=False),
        sa.ForeignKeyConstraint(["agent_id"], ["agents.id"], name=op.f("fk_breakers_agent_id")),
        *_keys("breakers", "agent_id"),
    )
    op.add_column("operations", sa.Column("batch_id", sa.String(length=64), nullable=True))
    op.create_index(op.f("ix_operations_batch_id"), "operations", ["batch_id"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_operations_batch_id"), table_name="operations")
    op.drop_column("operations", "batch_id")
    op.drop_table("breakers")
    op.drop_index("ix_package_exceptions_team_id_scope", table_name="package_exceptions")
    op.drop_table("package_exceptions")
    op.drop_index("ix_patch_batches_team_id_created_at", table_name="patch_batches")
    op.drop_index(op.f("ix_patch_batches_request_key"), table_name="patch_batches")
    op.drop_table("patch_batches")


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.String(length=64), nullable=False) for name in names]


def _instants(*names: str, nullable: bool = True) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger(), nullable=nullable) for name in names]


def _keys(table: str, key: str) -> list[sa.Constraint]:
    return [
        sa.ForeignKeyConstraint(["team_id"], ["teams.id"], name=op.f(f"fk_{table}_team_id")),
        sa.PrimaryKeyConstraint(key, name=op.f(f"pk_{table}")),
    ]
