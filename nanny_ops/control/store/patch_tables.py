"""Tables around patch orders: batches, held packages, nodes that rest, upkeep of targets, steps of jobs."""

from sqlalchemy import JSON, Column, ForeignKey, Index, Integer, String, Table, Text

from nanny_ops.control.store.columns import Id, Instant, instants, metadata
from nanny_ops.control.store.columns import team as team_column

#: Orders that were placed together; ``skipped`` holds what the selection left out, with the reason.
patch_batches = Table(
    "patch_batches",
    metadata,
    Column("id", Id, primary_key=True),
    team_column(),
    Column("request", JSON, nullable=False),
    Column("skipped", JSON, nullable=False),
    Column("placed", Integer, nullable=False),
    Column("created_by", Id, nullable=False),
    Column("created_at", Instant, nullable=False),
    *instants("cancelled_at"),
    Column("request_key", String(64), index=True),
    Column("request_digest", String(64)),
    Index("ix_patch_batches_team_id_created_at", "team_id", "created_at"),
)

#: Packages that stay as they are. ``object`` is a tag, an agent's id or our id of a guest, as ``scope`` says.
package_exceptions = Table(
    "package_exceptions",
    metadata,
    Column("id", Id, primary_key=True),
    team_column(),
    Column("scope", String(16), nullable=False),
    Column("object", String(255), nullable=False),
    Column("package", String(255), nullable=False),
    Column("reason", Text, nullable=False),
    Column("created_by", Id, nullable=False),
    Column("created_at", Instant, nullable=False),
    *instants("expires_at", "removed_at"),
    Index("ix_package_exceptions_team_id_scope", "team_id", "scope"),
)

#: Technical failures of an agent in a row, the instant of the last, and since when it is told that the node rests.
breakers = Table(
    "breakers",
    metadata,
    Column("agent_id", Id, ForeignKey("agents.id"), primary_key=True),
    team_column(),
    Column("failures", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("failed_at", Instant, nullable=False),
    *instants("opened_at"),
)

#: One row for each host and guest that somebody has tried to look at; ``scope`` is a cluster or a standalone agent.
upkeep = Table(
    "upkeep",
    metadata,
    Column("scope", Id, primary_key=True),
    Column("target", String(128), primary_key=True),
    team_column(),
    *instants("looked_at"),
    Column("operation_id", Id),
    *instants("tried_at"),
    Column("trouble", Text, nullable=False),
    Column("body", JSON, nullable=False),
    Index("ix_upkeep_team_id", "team_id"),
)

#: Steps of jobs that run, as their agents told them last.
job_steps = Table(
    "job_steps",
    metadata,
    Column("operation_id", Id, ForeignKey("operations.id"), primary_key=True),
    team_column(),
    Column("body", JSON, nullable=False),
    Column("at", Instant, nullable=False),
)
