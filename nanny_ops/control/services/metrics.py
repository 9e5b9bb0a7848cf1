"""Readings of hosts: taken in by the thousand, kept as they came, and what they say of the agent itself."""

from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from nanny_ops.control.services import policy
from nanny_ops.control.services.principal import HostAgent
from nanny_ops.control.store import agent as agents
from nanny_ops.control.store import metrics as store
from nanny_ops.control.store import policy as policies
from nanny_ops.control.store.database import Database, Tx
from nanny_ops.errors import Forbidden, ValidationFailed
from nanny_ops.protocol.clock import micros, parse_stamp, stamp_micros
from nanny_ops.protocol.metrics import SystemMetrics

#: How far a machine's clock may run ahead.
AHEAD = timedelta(minutes=10)
#: Agents whose description is remembered between two readings; beyond that it is written once more.
REMEMBERED = 20_000

Description = tuple[str, str, str, str, str, str, list[str], list[str]]


class Readings:
    """Takes readings in. What an agent is (platform, version ...) is written only when it has changed."""

    def __init__(self) -> None:
        """Start with nothing remembered."""
        self._known: OrderedDict[str, Description] = OrderedDict()

    async def take(
        self,
        database: Database,
        agent: HostAgent,
        reading: SystemMetrics,
        raw: bytes,
        now: datetime,
        admit: Callable[[datetime], None] = lambda _at: None,
    ) -> None:
        """Write one reading; return after its commit. The same instant twice is written once.

        Raises Forbidden for another agent's reading, ValidationFailed for an impossible instant, and whatever
        ``admit`` raises for the reading's instant.
        """
        if reading.agent_id != agent.id:
            raise Forbidden("The reading's agent_id is not the agent whose token was sent.")
        instant = _instant(reading.timestamp, now)
        admit(instant)
        at, received = micros(instant), micros(now)
        row = {
            "agent_id": agent.id,
            "at": at,
            "team_id": agent.team_id,
            "cpu_usage": reading.cpu_usage,
            "memory_used": reading.memory_used,
            "memory_total": reading.memory_total,
            "disk_usage": reading.disk_usage,
            "load_avg_1": reading.load_avg_1,
            "body": store.packed(raw),
            "received_at": received,
        }
        described = _description(reading)
        if self._known.get(agent.id) != described:
            await database.write(lambda tx: agents.change(tx, agent.id, **_columns(described)))
            self._remember(agent.id, described)
        rows = [(store.adding(on_sqlite=database.sqlite), row), (agents.SEEN, {"agent": agent.id, "seen": received})]
        if reading.policy is not None:
            told = policy.row(agent.id, agent.team_id, reading.policy, instant)
            rows.append((policies.telling(on_sqlite=database.sqlite), told))
        await database.append_all(*rows)

    def _remember(self, agent_id: str, described: Description) -> None:
        self._known[agent_id] = described
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)


def between(since: str | None, until: str | None) -> tuple[int | None, int | None]:
    """Read the ends of a stretch of time, as microseconds. Raises ValidationFailed."""
    return _end("since", since), _end("until", until)


def page(
    tx: Tx, agent: agents.Agent, stretch: tuple[int | None, int | None], limit: int, offset: int
) -> tuple[list[store.Reading], int]:
    """Return an agent's readings in a stretch of time, newest first, and how many there are."""
    return store.page(tx, agent.id, (agent.team_id,), stretch, limit, offset)


def rendered(reading: store.Reading) -> bytes:
    """Return a reading as JSON, around the agent's own words."""
    at, received = stamp_micros(reading.at), stamp_micros(reading.received_at)
    return f'{{"at":"{at}","received_at":"{received}","reading":'.encode() + reading.body + b"}"


def _end(name: str, text: str | None) -> int | None:
    if not text:
        return None
    try:
        return micros(parse_stamp(text))
    except ValidationFailed as wrong:
        raise ValidationFailed(f"{name}: {wrong.message}", field=name) from None


def _instant(text: str, now: datetime) -> datetime:
    try:
        at = parse_stamp(text)
    except ValidationFailed as wrong:
        raise ValidationFailed(f"timestamp: {wrong.message}", field="timestamp") from None
    if at > now + AHEAD:
        raise ValidationFailed(
            f"timestamp: '{text}' is more than ten minutes ahead; set the machine's clock.", field="timestamp"
        )
    return at


def _description(reading: SystemMetrics) -> Description:
    return (
        reading.platform,
        reading.platform_family,
        reading.version,
        reading.kernel_version,
        reading.os,
        reading.ip_address,
        reading.all_ips,
        reading.features,
    )


def _columns(described: Description) -> dict[str, Any]:
    """Return what is worth writing: an agent that does not tell does not erase what it told before."""
    names = ("platform", "platform_family", "version", "kernel_version", "os_type", "primary_ip", "all_ips", "features")
    told = {name: value for name, value in zip(names, described, strict=True) if value and "\0" not in value}
    # What it does not say it can do, it cannot: an agent that was put back to an older version says nothing.
    return {**told, "features": described[-1]}
