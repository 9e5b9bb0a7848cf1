"""Tables of what agents tell of Proxmox VE. ``scope`` is a cluster's id, or the agent's where there is no cluster."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from nanny_ops.control.store.columns import Id, Instant, instants, metadata
from nanny_ops.control.store.columns import team as team_column

clusters = Table(
    "clusters",
    metadata,
    Column("id", Id, primary_key=True),
    team_column(),
    Column("cluster_id", String(255), nullable=False),
    Column("cluster_name", String(255), nullable=False),
    Column("nodes", Integer, nullable=False),
    Column("quorate", Integer, nullable=False),
    Column("version", Integer, nullable=False),
    Column("body", JSON, nullable=False),
    Column("reported_by", Id, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    UniqueConstraint("team_id", "cluster_id", "cluster_name"),
)

#: ``scope`` is the cluster's id, or the agent's id for a node outside a cluster.
nodes = Table(
    "nodes",
    metadata,
    Column("id", Id, primary_key=True),
    team_column(),
    Column("scope", Id, nullable=False),
    Column("cluster_pk", Id, ForeignKey("clusters.id")),
    Column("name", String(255), nullable=False),
    Column("ip", String(64), nullable=False),
    Column("online", Integer, nullable=False),
    Column("pve_version", String(255), nullable=False),
    Column("body", JSON, nullable=False),
    Column("reported_by", Id, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    # Since when ``online`` has its value, since when nobody can say, and when the cluster lost the node for good.
    Column("state_since", Instant),
    Column("unknown_since", Instant),
    Column("gone_at", Instant),
    UniqueConstraint("scope", "name"),
)

guests = Table(
    "guests",
    metadata,
    Column("id", Id, primary_key=True),
    team_column(),
    Column("scope", Id, nullable=False),
    Column("cluster_pk", Id, ForeignKey("clusters.id")),
    Column("vmid", Integer, nullable=False),
    Column("kind", String(8), nullable=False),
    Column("name", String(255), nullable=False),
    Column("node", String(255), nullable=False),
    Column("status", String(64), nullable=False),
    Column("ostype", String(64), nullable=False),
    Column("tags", String(4096), nullable=False),
    Column("body", JSON, nullable=False),
    Column("reported_by", Id, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("moved_at", Instant),
    Column("gone_at", Instant),
    # By the agent's clock. ``status`` is the last that was known; it is not known now where ``unknown_since`` is set.
    Column("told_at", Instant),
    Column("state_since", Instant),
    Column("unknown_since", Instant),
    Column("pool", String(255)),
    Column("lock", String(64)),
    Column("template", Boolean),
    UniqueConstraint("scope", "vmid"),
    Index("ix_guests_team_id_node", "team_id", "node"),
)

#: Who speaks for a cluster, and what its first complete list of guests named that nobody has described yet.
scopes = Table(
    "scopes",
    metadata,
    Column("scope", Id, primary_key=True),
    team_column(),
    Column("speaker", Id),
    Column("speaker_until", Instant),
    # By the speaker's clock: the complete list that was taken last.
    Column("listed_at", Instant),
    Column("undescribed", JSON, nullable=False),
    Column("created_at", Instant, nullable=False),
)

#: The last report of each agent: ``at`` by its clock, ``until`` when it counts as silent, ``usage`` packed.
reporters = Table(
    "reporters",
    metadata,
    Column("agent_id", Id, ForeignKey("agents.id"), primary_key=True),
    team_column(),
    Column("scope", Id, nullable=False, index=True),
    Column("node", String(255), nullable=False),
    Column("at", Instant, nullable=False),
    Column("heard_at", Instant, nullable=False),
    Column("until", Instant, nullable=False),
    # Since when guests are listed of which the bodies are missing.
    Column("lacking_at", Instant),
    Column("usage", LargeBinary),
)

storages = Table(
    "storages",
    metadata,
    Column("id", Id, primary_key=True),
    team_column(),
    Column("scope", Id, nullable=False),
    Column("cluster_pk", Id, ForeignKey("clusters.id")),
    Column("node", String(255), nullable=False),
    Column("name", String(255), nullable=False),
    Column("kind", String(255), nullable=False),
    Column("status", String(64), nullable=False),
    Column("shared", Boolean, nullable=False),
    Column("content", Text, nullable=False),
    Column("used", BigInteger),
    Column("total", BigInteger),
    Column("full_since", Instant),
    Column("reported_by", Id, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    UniqueConstraint("scope", "node", "name"),
    Index("ix_storages_team_id_name", "team_id", "name"),
)

#: Tasks that failed. ``about`` is the guest or whatever it was about; instants by the node's clock.
tasks = Table(
    "tasks",
    metadata,
    Column("id", Id, primary_key=True),
    team_column(),
    Column("scope", Id, nullable=False),
    Column("cluster_pk", Id, ForeignKey("clusters.id")),
    Column("upid", String(255), nullable=False),
    Column("node", String(255), nullable=False),
    Column("kind", String(255), nullable=False),
    Column("about", String(255), nullable=False),
    Column("user", String(255), nullable=False),
    Column("status", Text, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("ended_at", Instant),
    Column("reported_by", Id, nullable=False),
    Column("created_at", Instant, nullable=False),
    UniqueConstraint("scope", "upid"),
    Index("ix_tasks_team_id_started_at", "team_id", "started_at"),
    Index("ix_tasks_created_at", "created_at"),
)

#: How well each part of a report is known; an empty ``object`` stands for all without a row of their own.
facts = Table(
    "facts",
    metadata,
    Column("agent_id", Id, ForeignKey("agents.id"), primary_key=True),
    Column("section", String(255), primary_key=True),
    Column("object", String(255), primary_key=True),
    team_column(),
    Column("scope", Id, nullable=False),
    Column("state", String(16), nullable=False),
    Column("source", String(16), nullable=False),
    Column("privilege", String(255), nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", Instant),
    Column("told_at", Instant, nullable=False),
    Index("ix_facts_scope_object", "scope", "object"),
)

#: Raw readings of usage: one row per report, all its objects packed; ``part`` tells parts of one instant apart.
usage = Table(
    "usage",
    metadata,
    Column("scope", Id, primary_key=True),
    Column("at", Instant, primary_key=True),
    Column("agent_id", Id, primary_key=True),
    Column("part", BigInteger, primary_key=True, autoincrement=False),
    team_column(),
    Column("body", LargeBinary, nullable=False),
    Index("ix_usage_at", "at"),
)

#: Rolled up usage: one row per object and day, a slot for each five minutes.
usage_days = Table(
    "usage_days",
    metadata,
    Column("scope", Id, primary_key=True),
    Column("object", String(255), primary_key=True),
    Column("day", Integer, primary_key=True, autoincrement=False),
    team_column(),
    Column("body", LargeBinary, nullable=False),
    Index("ix_usage_days_day", "day"),
)

#: Up to where a scope's raw readings are rolled up.
usage_progress = Table(
    "usage_progress",
    metadata,
    Column("scope", Id, primary_key=True),
    team_column(),
    Column("done_until", Instant, nullable=False),
)

#: Snapshots and backups of guests that our orders made, and snapshots that are named as ours. ``target`` as of an
#: operation; ``state`` is what was last learned, ``reason`` what stands in the way of it.
snapshots = Table(
    "snapshots",
    metadata,
    Column("id", Id, primary_key=True),
    team_column(),
    Column("scope", Id, nullable=False),
    Column("target", String(64), nullable=False),
    Column("vmid", Integer, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("name", String(512), nullable=False),
    Column("storage", String(255), nullable=False),
    Column("agent_id", Id, ForeignKey("agents.id"), nullable=False),
    Column("operation_id", Id),
    Column("upid", String(255), nullable=False),
    Column("state", String(16), nullable=False),
    Column("state_at", Instant, nullable=False),
    Column("reason", Text, nullable=False),
    Column("removed_by", Id),
    Column("created_at", Instant, nullable=False),
    # Made and seen by the clock of the node; when it goes by itself.
    *instants("made_at", "seen_at", "expires_at"),
    UniqueConstraint("scope", "vmid", "kind", "name"),
    Index("ix_snapshots_team_id_made_at", "team_id", "made_at"),
    Index("ix_snapshots_state_expires_at", "state", "expires_at"),
)
