"""Who did what: noted in the same transaction as the change itself, and shown to admins."""

import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from functools import partial
from typing import Any, cast

from nanny_ops.control.services.principal import HostAgent, Person, Principal
from nanny_ops.control.store import audit as store
from nanny_ops.control.store.audit import Filter, Row
from nanny_ops.control.store.caller import Caller
from nanny_ops.control.store.database import Database, Tx
from nanny_ops.errors import Forbidden
from nanny_ops.protocol.audit import Actor, AuditEntry
from nanny_ops.protocol.clock import from_micros, micros, stamp

#: How long a person may go on reading an output that grows before it is noted once more.
READING = timedelta(minutes=10)


def note(tx: Tx, action: str, thing: str, now: datetime, team_id: str = "", **detail: Any) -> None:
    """Note what the transaction's caller does; ``detail`` holds texts and numbers, and never a secret."""
    store.append(tx, micros(now), action, thing, team_id, detail)


def is_fresh(tx: Tx, who: Principal, action: str, thing: str, now: datetime) -> bool:
    """Tell whether this was noted within the last minutes, so that following an output does not fill the log."""
    return store.is_noted(tx, action, thing, who.id, micros(now - READING))


def caller(who: Principal | None, peer: str, request_id: str) -> Caller:
    """Return who asks, as the log names them."""
    if isinstance(who, Person):
        return Caller("person", who.id, who.email, who.token_id, peer, request_id)
    if isinstance(who, HostAgent):
        return Caller("agent", who.id, who.hostname, who.token_id, peer, request_id)
    return Caller("nobody", peer=peer, request_id=request_id)


def wanted(person: Person, **narrower: Any) -> Filter:
    """Return which rows a person may see: of their teams, and all as admin of the installation. Raises Forbidden."""
    teams = person.teams_as("admin")
    if not person.is_admin and not teams:
        raise Forbidden("This needs the role 'admin'.")
    return Filter(teams=None if person.is_admin else teams, **narrower)


async def lines(database: Database, rows: Filter) -> AsyncIterator[str]:
    """Yield every row, oldest first, as a line of JSON with its hashes."""
    seq = 0
    while found := await database.read(partial(store.after, wanted=rows, seq=seq)):
        yield "".join(json.dumps(vars(row)) + "\n" for row in found)
        seq = found[-1].seq


def rendered(row: Row) -> AuditEntry:
    """Return a row as people see it."""
    return AuditEntry(
        seq=row.seq,
        at=stamp(from_micros(row.at)),
        kind=cast("Actor", row.kind),
        actor=row.actor,
        name=row.name,
        token_id=row.token_id,
        action=row.action,
        object=row.object,
        team_id=row.team_id,
        peer=row.peer,
        request_id=row.request_id,
        detail=json.loads(row.detail),
    )
