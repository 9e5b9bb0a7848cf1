"""Every table. Instants are UTC microseconds since 1970; JSON columns hold what only travels through."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
)

from nanny_ops.control.store.columns import Id, Instant, Sequence, instants
from nanny_ops.control.store.columns import metadata as metadata
from nanny_ops.control.store.columns import team as _team

teams = Table(
    "teams",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", String(255), nullable=False, unique=True),
    Column("created_at", Instant, nullable=False),
)

users = Table(
    "users",
    metadata,
    Column("id", Id, primary_key=True),
    Column("email", String(255), nullable=False, unique=True),
    Column("name", String(255), nullable=False),
    Column("password_hash", String(255), nullable=False),
    Column("is_admin", Boolean, nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    # Access tokens that were issued earlier are refused: the password was changed then, or the account closed.
    Column("sessions_since", Instant),
)

memberships = Table(
    "memberships",
    metadata,
    Column("user_id", Id, ForeignKey("users.id"), primary_key=True),
    Column("team_id", Id, ForeignKey("teams.id"), primary_key=True),
    Column("role", String(16), nullable=False),
)

revoked_tokens = Table(
    "revoked_tokens",
    metadata,
    Column("jti", Id, primary_key=True),
    Column("expires_at", Instant, nullable=False, index=True),
)

device_codes = Table(
    "device_codes",
    metadata,
    Column("device_hash", String(64), primary_key=True),
    Column("user_code", String(16), nullable=False, unique=True),
    Column("status", String(16), nullable=False),
    Column("claims", JSON, nullable=False),
    Column("peer", String(64), nullable=False),
    Column("poll_interval", Integer, nullable=False),
    Column("polled_at", Instant),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False, index=True),
    Column("decided_by", Id),
    Column("decided_at", Instant),
    Column("team_id", Id, ForeignKey("teams.id")),
    Column("agent_id", Id),
)

agents = Table(
    "agents",
    metadata,
    Column("id", Id, primary_key=True),
    _team(),
    Column("hostname", String(255), nullable=False),
    Column("platform", String(255), nullable=False),
    Column("platform_family", String(255), nullable=False),
    Column("version", String(255), nullable=False),
    Column("primary_ip", String(64), nullable=False),
    Column("kernel_version", String(255), nullable=False),
    Column("os_type", String(255), nullable=False),
    Column("all_ips", JSON, nullable=False),
    Column("status", String(16), nullable=False),
    Column("cluster_pk", Id, ForeignKey("clusters.id")),
    Column("enrolled_by", Id),
    Column("created_at", Instant, nullable=False),
    Column("last_seen", Instant),
    Column("revoked_at", Instant),
    Column("tags", JSON, nullable=False, server_default="[]"),
    # Of an enrolment by token: the attempt it came from, so that a repeated one finds its agent again.
    Column("attempt", String(64)),
    Column("dialect", String(16), nullable=False, server_default="guide"),
    Column("features", JSON, nullable=False, server_default="[]"),
    Index("ix_agents_attempt", "attempt", unique=True),
    Index("ix_agents_team_id_hostname", "team_id", "hostname"),
)

#: What an agent has told of its owner's policy, and when it said so.
agent_policies = Table(
    "agent_policies",
    metadata,
    Column("agent_id", Id, ForeignKey("agents.id"), primary_key=True),
    _team(),
    Column("body", JSON, nullable=False),
    Column("at", Instant, nullable=False),
)

refresh_families = Table(
    "refresh_families",
    metadata,
    Column("id", Id, primary_key=True),
    Column("agent_id", Id, ForeignKey("agents.id"), nullable=False, index=True),
    _team(),
    Column("generation", Integer, nullable=False),
    Column("salt", String(64), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("used_at", Instant),
    Column("revoked_at", Instant),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", Id, primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("hash", String(64), nullable=False, unique=True),
    _team(),
    Column("name", String(128), nullable=False),
    Column("created_by", Id, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("agent_id", Id, ForeignKey("agents.id")),
    Column("scopes", JSON, nullable=False),
    Column("ranges", JSON, nullable=False),
    Column("tags", JSON, nullable=False),
    Column("max_uses", Integer),
    Column("uses", Integer, nullable=False),
    Column("last_used_at", Instant),
    Column("revoked_at", Instant),
    Index("ix_tokens_team_id_kind", "team_id", "kind"),
)

metrics = Table(
    "metrics",
    metadata,
    Column("agent_id", Id, primary_key=True),
    Column("at", Instant, primary_key=True),
    _team(),
    Column("cpu_usage", Float, nullable=False),
    Column("memory_used", BigInteger, nullable=False),
    Column("memory_total", BigInteger, nullable=False),
    Column("disk_usage", Float, nullable=False),
    Column("load_avg_1", Float, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("received_at", Instant, nullable=False),
    Index("ix_metrics_received_at", "received_at"),
)

#: A script without a team is shipped and belongs to all. An id names one immutable version.
scripts = Table(
    "scripts",
    metadata,
    Column("id", String(128), primary_key=True),
    Column("team_id", Id, ForeignKey("teams.id")),
    Column("name", String(128), nullable=False),
    Column("description", String(1024), nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("shipped", Boolean, nullable=False),
    Column("families", JSON, nullable=False),
    Column("created_by", Id),
    Column("created_at", Instant, nullable=False),
)

#: Public keys; ``id`` is made of team and key, so that a key is there once for each team. Without a team it is the
#: control plane's own and everybody's.
signing_keys = Table(
    "signing_keys",
    metadata,
    Column("id", Id, primary_key=True),
    Column("key_id", Id, nullable=False),
    Column("team_id", Id, ForeignKey("teams.id"), index=True),
    Column("public_key", Id, nullable=False),
    Column("name", String(255), nullable=False),
    Column("is_control_plane", Boolean, nullable=False),
    Column("added_at", Instant, nullable=False),
    Column("added_by", Id),
    Column("retired_at", Instant),
)

#: Which key vouches for which.
signing_key_endorsements = Table(
    "signing_key_endorsements",
    metadata,
    Column("key_pk", Id, ForeignKey("signing_keys.id"), primary_key=True),
    Column("by_pk", Id, ForeignKey("signing_keys.id"), primary_key=True),
    Column("signature", String(128), nullable=False),
    Column("added_at", Instant, nullable=False),
)

script_signatures = Table(
    "script_signatures",
    metadata,
    Column("script_id", String(128), ForeignKey("scripts.id"), primary_key=True),
    Column("key_pk", Id, ForeignKey("signing_keys.id"), primary_key=True),
    Column("signature", String(128), nullable=False),
    Column("added_at", Instant, nullable=False),
    Column("added_by", Id),
)

#: Releases of the agent; an id names one archive for ever. Its bytes lie in numbered pieces, so that every process of a
#: control plane can hand out any part without reading the whole.
releases = Table(
    "releases",
    metadata,
    Column("id", String(128), primary_key=True),
    _team(),
    Column("version", String(64), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("created_by", Id, nullable=False),
    Column("created_at", Instant, nullable=False),
)

release_pieces = Table(
    "release_pieces",
    metadata,
    Column("release_id", String(128), ForeignKey("releases.id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("content", LargeBinary, nullable=False),
)

release_signatures = Table(
    "release_signatures",
    metadata,
    Column("release_id", String(128), ForeignKey("releases.id"), primary_key=True),
    Column("key_pk", Id, ForeignKey("signing_keys.id"), primary_key=True),
    Column("signature", String(128), nullable=False),
    Column("added_at", Instant, nullable=False),
    Column("added_by", Id),
)

operations = Table(
    "operations",
    metadata,
    Column("id", Id, primary_key=True),
    _team(),
    Column("agent_id", Id, ForeignKey("agents.id"), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("status", String(16), nullable=False),
    Column("outcome", String(32)),
    Column("reason", Text, nullable=False),
    Column("target", String(64), nullable=False),
    Column("vmid", Integer),
    Column("script_id", String(128)),
    Column("request", JSON, nullable=False),
    Column("result", JSON),
    Column("created_by", Id, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    *instants("delivered_at", "started_at", "finished_at"),
    Column("lease_token", Integer, nullable=False),
    Column("claim", String(64)),
    # Until when the lease lasts; since when its holder is silent; until when the target is nobody else's; when an
    # order that waits for its target last asked for it.
    *instants("lease_until", "silent_at", "held_until", "asked_at"),
    # When what its script printed was dropped because of its age.
    *instants("outputs_dropped_at"),
    Index("ix_operations_finished_at", "finished_at"),
    Index("ix_operations_outputs", "outputs_dropped_at", "finished_at"),
    Index("ix_operations_held_until", "held_until"),
    Index("ix_operations_asked_at", "asked_at"),
    # With which others it was placed.
    Column("batch_id", String(64), index=True),
    # Who repeats a request with the same Idempotency-Key gets the first one's operation.
    Column("request_key", String(64)),
    Column("request_digest", String(64)),
    Index("ix_operations_request_key", "request_key"),
    Index("ix_operations_agent_id_status", "agent_id", "status"),
    Index("ix_operations_team_id_kind_created_at", "team_id", "kind", "created_at"),
    Index("ix_operations_team_id_kind_agent_id_created_at", "team_id", "kind", "agent_id", "created_at"),
    Index("ix_operations_status_expires_at", "status", "expires_at"),
)

package_changes = Table(
    "package_changes",
    metadata,
    Column("operation_id", Id, ForeignKey("operations.id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    _team(),
    Column("name", String(255), nullable=False),
    Column("version", String(255), nullable=False),
    Column("old_version", String(255), nullable=False),
    Column("action", String(64), nullable=False),
    Column("security", Boolean),
    Column("repository", String(255), nullable=False),
    Column("size", BigInteger),
)

#: What a patch job told beside its packages.
patch_reports = Table(
    "patch_reports",
    metadata,
    Column("operation_id", Id, ForeignKey("operations.id"), primary_key=True),
    _team(),
    Column("body", JSON, nullable=False),
)

#: Identities that two machines use; without ``until`` it counts for good.
duplicates = Table(
    "duplicates",
    metadata,
    Column("agent_id", Id, ForeignKey("agents.id"), primary_key=True),
    _team(),
    Column("since", Instant, nullable=False),
    Column("until", Instant),
    Column("reason", String(255), nullable=False),
)

#: What is known of one package on one target: the last thing a result told.
packages = Table(
    "packages",
    metadata,
    Column("agent_id", Id, ForeignKey("agents.id"), primary_key=True),
    Column("target", String(64), primary_key=True),
    Column("name", String(255), primary_key=True),
    _team(),
    Column("installed", String(255), nullable=False),
    Column("candidate", String(255), nullable=False),
    Column("security", Boolean),
    Column("operation_id", Id, ForeignKey("operations.id"), nullable=False, index=True),
    Column("seen_at", Instant, nullable=False),
    Index("ix_packages_team_id_name", "team_id", "name"),
)

events = Table(
    "events",
    metadata,
    Column("seq", Sequence, primary_key=True, autoincrement=True),
    _team(),
    Column("topic", String(64), nullable=False),
    Column("subject", Id, nullable=False),
    Column("kind", String(64), nullable=False),
    Column("payload", JSON, nullable=False),
    Column("at", Instant, nullable=False, index=True),
    Index("ix_events_subject_seq", "subject", "seq"),
    sqlite_autoincrement=True,
)

#: Rows are added and never changed; nothing refers to others' rows, so that what was is told for ever.
audit = Table(
    "audit",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at", Instant, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("actor", Id, nullable=False),
    Column("name", String(255), nullable=False),
    Column("token_id", Id, nullable=False),
    Column("action", String(32), nullable=False),
    Column("object", String(128), nullable=False),
    Column("team_id", Id, nullable=False),
    Column("peer", String(64), nullable=False),
    Column("request_id", String(64), nullable=False),
    Column("detail", Text, nullable=False),
    Column("prev", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Index("ix_audit_object_action", "object", "action"),
)

#: One row: the last of the log, signed.
audit_head = Table(
    "audit_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
    Column("hash", String(64), nullable=False),
    Column("signature", String(64), nullable=False),
)
