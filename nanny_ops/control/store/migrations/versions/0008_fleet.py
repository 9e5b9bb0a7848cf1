"""What agents tell of Proxmox VE at once: who speaks for a cluster, storages, failed tasks, facts, usage."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def _team() -> sa.Column[str]:
    return sa.Column("team_id", sa.String(length=64), nullable=False)


def _id(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(length=64), nullable=nullable)


def _word(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.String(length=255), nullable=False)


def _instant(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=nullable)


def _of_team(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["team_id"], ["teams.id"], name=op.f(f"fk_{table}_team_id"))


def _of_cluster(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["cluster_pk"], ["clusters.id"], name=op.f(f"fk_{table}_cluster_pk"))


def _of_agent(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["agent_id"], ["agents.id"], name=op.f(f"fk_{table}_agent_id"))


def upgrade() -> None:
    for name in ("state_since", "unknown_since", "gone_at"):
        op.add_column("nodes", _instant(name, nullable=True))
    for name in ("told_at", "state_since", "unknown_since"):
        op.add_column("guests", _instant(name, nullable=True))
    op.add_column("guests", sa.Column("pool", sa.String(length=255), nullable=True))
    op.add_column("guests", sa.Column("lock", sa.String(length=64), nullable=True))
    op.add_column("guests", sa.Column("template", sa.Boolean(), nullable=True))
    # For filtered lists of orders, newest first.
    columns = ["team_id", "kind", "agent_id", "created_at"]
    op.create_index("ix_operations_team_id_kind_agent_id_created_at", "operations", columns, unique=False)
    _reports()
    _things()
    _usage()


def _reports() -> None:
    op.create_table(
        "scopes",
        _id("scope"),
        _team(),
        _id("speaker", nullable=True),
        _instant("speaker_until", nullable=True),
        _instant("listed_at", nullable=True),
        sa.Column("undescribed", sa.JSON(), nullable=False),
        _instant("created_at"),
        _of_team("scopes"),
        sa.PrimaryKeyConstraint("scope", name=op.f("pk_scopes")),
    )
    op.create_table(
        "reporters",
        _id("agent_id"),
        _team(),
        _id("scope"),
        _word("node"),
        _instant("at"),
        _instant("heard_at"),
        _instant("until"),
        _instant("lacking_at", nullable=True),
        sa.Column("usage", sa.LargeBinary(), nullable=True),
        _of_agent("reporters"),
        _of_team("reporters"),
        sa.PrimaryKeyConstraint("agent_id", name=op.f("pk_reporters")),
    )
    op.create_index(op.f("ix_reporters_scope"), "reporters", ["scope"], unique=False)


def _things() -> None:
    op.create_table(
        "storages",
        _id("id"),
        _team(),
        _id("scope"),
        _id("cluster_pk", nullable=True),
        _word("node"),
        _word("name"),
        _word("kind"),
        sa.Column("status", sa.String(length=64), nullable=False),
        sa.Column("shared", sa.Boolean(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=True),
        sa.Column("total", sa.BigInteger(), nullable=True),
        _instant("full_since", nullable=True),
        _id("reported_by"),
        _instant("created_at"),
        _instant("updated_at"),
        _of_cluster("storages"),
        _of_team("storages"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_storages")),
        sa.UniqueConstraint("scope", "node", "name", name=op.f("uq_storages_scope_node_name")),
    )
    op.create_index("ix_storages_team_id_name", "storages", ["team_id", "name"], unique=False)
    op.create_table(
        "tasks",
        _id("id"),
        _team(),
        _id("scope"),
        _id("cluster_pk", nullable=True),
        _word("upid"),
        _word("node"),
        _word("kind"),
        _word("about"),
        _word("user"),
        sa.Column("status", sa.Text(), nullable=False),
        _instant("started_at"),
        _instant("ended_at", nullable=True),
        _id("reported_by"),
        _instant("created_at"),
        _of_cluster("tasks"),
        _of_team("tasks"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tasks")),
        sa.UniqueConstraint("scope", "upid", name=op.f("uq_tasks_scope_upid")),
    )
    op.create_index("ix_tasks_created_at", "tasks", ["created_at"], unique=False)
    op.create_index("ix_tasks_team_id_started_at", "tasks", ["team_id", "started_at"], unique=False)
    op.create_table(
        "facts",
        _id("agent_id"),
        _word("section"),
        _word("object"),
        _team(),
        _id("scope"),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("source", sa.String(length=16), nullable=False),
        _word("privilege"),
        sa.Column("reason", sa.Text(), nullable=False),
        _instant("at", nullable=True),
        _instant("told_at"),
        _of_agent("facts"),
        _of_team("facts"),
        sa.PrimaryKeyConstraint("agent_id", "section", "object", name=op.f("pk_facts")),
    )
    op.create_index("ix_facts_scope_object", "facts", ["scope", "object"], unique=False)


def _usage() -> None:
    op.create_table(
        "usage",
        _id("scope"),
        _instant("at"),
        _id("agent_id"),
        sa.Column("part", sa.BigInteger(), autoincrement=False, nullable=False),
        _team(),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        _of_team("usage"),
        sa.PrimaryKeyConstraint("scope", "at", "agent_id", "part", name=op.f("pk_usage")),
    )
    op.create_index("ix_usage_at", "usage", ["at"], unique=False)
    op.create_table(
        "usage_days",
        _id("scope"),
        _word("object"),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        _team(),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        _of_team("usage_days"),
        sa.PrimaryKeyConstraint("scope", "object", "day", name=op.f("pk_usage_days")),
    )
    op.create_index("ix_usage_days_day", "usage_days", ["day"], unique=False)
    op.create_table(
        "usage_progress",
        _id("scope"),
        _team(),
        _instant("done_until"),
        _of_team("usage_progress"),
        sa.PrimaryKeyConstraint("scope", name=op.f("pk_usage_progress")),
    )


def downgrade() -> None:
    for table in ("usage_progress", "usage_days", "usage", "facts", "tasks", "storages", "reporters", "scopes"):
        op.drop_table(table)
    op.drop_index("ix_operations_team_id_kind_agent_id_created_at", table_name="operations")
    for name in ("template", "lock", "pool", "unknown_since", "state_since", "told_at"):
        op.drop_column("guests", name)
    for name in ("gone_at", "unknown_since", "state_since"):
        op.drop_column("nodes", name)
