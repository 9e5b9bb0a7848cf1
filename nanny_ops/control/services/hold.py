"""Which packages an order leaves because of exceptions: those of the day while it waits, then those it began with.

An order keeps the exclusions that a person wrote into it, and beside them the holds that exceptions add. While it waits
the holds are found anew whenever it is shown or told; when it begins they are written down, and its agent is told what
to leave in the answer that lets it begin. Agents that do not listen to that answer run what they were told first: where
an exception has been added since, their order is refused instead of begun.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from nanny_ops.control.services import patch_option as options
from nanny_ops.control.services.word import tags
from nanny_ops.control.store import agent as agents
from nanny_ops.control.store import operation as operations
from nanny_ops.control.store import package_exception as store
from nanny_ops.control.store.agent import Agent
from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.lease import UNBEGUN
from nanny_ops.control.store.operation import Operation
from nanny_ops.control.store.package_exception import Held, Tagged
from nanny_ops.protocol.clock import micros, stamp_micros
from nanny_ops.protocol.operation import Status
from nanny_ops.protocol.patch_order import Hold, HoldScope

#: The widest first; the narrowest explains a package that several exceptions hold.
SCOPES: tuple[HoldScope, ...] = ("fleet", "group", "host", "guest")


def of(rows: Collection[Held], agent: Agent, guest: Tagged | None, target: str) -> list[Hold]:
    """Return what is held back on one target, each package once: the narrowest exception explains it."""
    mine = set(tags(guest.tags)) if guest is not None else {tag.lower() for tag in agent.tags}
    objects = {
        "fleet": {""},
        "group": mine,
        "host": {agent.id} if target == "host" else set(),
        "guest": {guest.id} if guest is not None else set(),
    }
    found: dict[str, Hold] = {}
    for scope in SCOPES:
        for row in rows:
            if row.scope == scope and row.object in objects[scope]:
                found[row.package] = Hold(
                    name=row.package, reason=row.reason, expires_at=stamp_micros(row.expires_at) or "", scope=scope
                )
    return list(found.values())


def written(asked: Mapping[str, Any], held: Sequence[Hold]) -> dict[str, Any]:
    """Return what was asked with these holds in place of those it had."""
    plain = {name: value for name, value in asked.items() if name != "holds"}
    return {**plain, "holds": [asdict(one) for one in held]} if held else plain


def current(tx: Tx, found: Sequence[Operation], now: datetime) -> list[Operation]:
    """Return orders as they would begin now; what has begun or ended, and what is no patch, as it is."""
    waiting = [one for one in found if one.kind == "patch" and Status(one.status) in UNBEGUN]
    rows = {team: store.active(tx, team, micros(now)) for team in {one.team_id for one in waiting}}
    matched = _matched(tx, waiting, rows)
    fresh = {one.id: replace(one, request=written(one.request, held)) for one, held in matched}
    return [fresh.get(one.id, one) for one in found]


def open_in(tx: Tx, team_id: str, rows: Sequence[Held]) -> list[Operation]:
    """Return a team's open patches on whose targets one of these exceptions counts, the oldest first."""
    return [one for one, held in _matched(tx, operations.open_patches(tx, team_id), {team_id: rows}) if held]


def begin(tx: Tx, operation: Operation, now: datetime, *, amends: bool) -> tuple[Operation, str]:
    """Return a patch as it is to begin now, and why it must not: an agent that does not listen lacks an exclusion.

    On PostgreSQL nobody changes the team's exceptions until this transaction ends.
    """
    if operation.kind != "patch":
        return operation, ""
    store.lock(tx, operation.team_id, shared=True)
    [fresh] = current(tx, [operation], now)
    if amends or fresh.request == operation.request:
        return fresh, ""
    known = set(options.excluded(operation.request))
    missed = [one for one in options.holds(fresh.request) if one.name not in known]
    if not missed or operation.request["mode"] == "dry-run":
        return operation, ""
    why = f"'{missed[0].name}' is held back since the order was placed: {missed[0].reason}"
    return operation, f"{why} The agent's version cannot be told of that any more; order it anew."


def _matched(
    tx: Tx, found: Sequence[Operation], rows: Mapping[str, Sequence[Held]]
) -> list[tuple[Operation, list[Hold]]]:
    if not any(rows.values()):
        return [(one, []) for one in found]
    known = agents.some(tx, {one.agent_id for one in found})
    numbers = {one.vmid for one in found if one.vmid is not None}
    places = store.tagged(tx, {_scope(agent) for agent in known.values()}, numbers)
    return [
        (one, of(rows[one.team_id], known[one.agent_id], places.get(_key(one, known)), one.target)) for one in found
    ]


def _scope(agent: Agent) -> str:
    return agent.cluster_pk or agent.id


def _key(operation: Operation, known: Mapping[str, Agent]) -> tuple[str, int | None]:
    return _scope(known[operation.agent_id]), operation.vmid
