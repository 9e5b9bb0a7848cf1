"""Reports of plays."""

from sqlalchemy import JSON, Boolean, Column, Index, Integer, String, Table

from nanny_ops.control.store.columns import Id, Instant, metadata
from nanny_ops.control.store.columns import team as team_column

#: ``body`` holds the recap and the tasks, which only travel through.
play_reports = Table(
    "play_reports",
    metadata,
    Column("id", Id, primary_key=True),
    team_column(),
    Column("playbook", String(255), nullable=False),
    Column("checking", Boolean, nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("hosts", Integer, nullable=False),
    Column("changed", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    Column("unreachable", Integer, nullable=False),
    Column("left_out", Integer, nullable=False),
    Column("ansible_version", String(64), nullable=False),
    Column("body", JSON, nullable=False),
    Column("created_by", Id, nullable=False),
    Column("created_at", Instant, nullable=False, index=True),
    Column("started_at", Instant, nullable=False),
    Column("ended_at", Instant, nullable=False),
    Column("request_key", String(64)),
    Column("request_digest", String(64), nullable=False),
    Index("ix_play_reports_team_id_created_at", "team_id", "created_at"),
    Index("ix_play_reports_request_key", "request_key"),
)
