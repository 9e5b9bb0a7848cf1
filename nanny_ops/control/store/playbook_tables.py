"""Runs of playbooks."""

from sqlalchemy import JSON, Boolean, Column, Index, Integer, String, Table, Text

from nanny_ops.control.store.columns import Id, Instant, instants, metadata
from nanny_ops.control.store.columns import team as team_column

#: ``added`` is what the order says of hosts that the fleet does not know: their addresses, and lines of host keys.
#: ``home`` is the data directory in which a run's folder lies, ``subject`` a checksum of all that makes two runs alike.
playbook_runs = Table(
    "playbook_runs",
    metadata,
    Column("id", Id, primary_key=True),
    team_column(),
    Column("home", Id, nullable=False),
    Column("playbook", Id, nullable=False),
    Column("origin", String(16), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("subject", String(64), nullable=False, index=True),
    Column("vars", JSON, nullable=False),
    Column("only", JSON, nullable=False),
    Column("added", JSON, nullable=False, server_default="{}"),
    Column("checking", Boolean, nullable=False),
    Column("checked_by", Id),
    Column("unchecked_reason", Text, nullable=False),
    Column("timeout_seconds", Integer, nullable=False),
    Column("status", String(16), nullable=False),
    Column("outcome", String(32)),
    Column("reason", Text, nullable=False),
    Column("hosts", JSON, nullable=False),
    Column("exit_code", Integer),
    Column("events", Integer, nullable=False),
    Column("left_out", Integer, nullable=False),
    Column("created_by", Id, nullable=False),
    Column("created_at", Instant, nullable=False),
    *instants("started_at", "followed_at", "ended_at", "cancel_at"),
    Index("ix_playbook_runs_team_id_created_at", "team_id", "created_at"),
    Index("ix_playbook_runs_home_status", "home", "status"),
)
