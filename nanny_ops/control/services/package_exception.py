"""Packages that are held back: entered by people, merged into each order's exclusions, told with every result."""

import uuid
from dataclasses import dataclass
from datetime import datetime

from nanny_ops.control.services import audit, change, hold
from nanny_ops.control.services import patch_option as options
from nanny_ops.control.services.principal import Person
from nanny_ops.control.services.word import is_package
from nanny_ops.control.store import agent as agents
from nanny_ops.control.store import package_exception as store
from nanny_ops.control.store import proxmox as inventory
from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.operation import Operation
from nanny_ops.control.store.package_exception import Held
from nanny_ops.errors import NotFound, ValidationFailed
from nanny_ops.protocol.clock import from_micros, micros, parse_stamp, stamp, stamp_micros
from nanny_ops.protocol.operation import Status
from nanny_ops.protocol.package_exception import ExceptionRequest, PackageException, Unreached
from nanny_ops.protocol.patch_order import MOST_HOLDS, HoldScope

#: Which field of a request names the object of each scope.
OBJECTS: dict[HoldScope, str] = {"fleet": "", "group": "tag", "host": "agent_id", "guest": "guest_id"}
GLOBS = frozenset("*?[")


@dataclass(frozen=True)
class Reach:
    """Whom a change of an exception reaches: a number of waiting orders, and not those of the running ones named."""

    waiting: int
    running: list[Unreached]


def add(tx: Tx, person: Person, request: ExceptionRequest, now: datetime) -> Held:
    """Hold a package back, also in orders that wait. Raises ValidationFailed, NotFound, Forbidden."""
    _check(request)
    row = Held(
        id=f"exception-{uuid.uuid4()}",
        team_id=_team(tx, person, request),
        scope=request.scope,
        object=_object(request),
        package=request.package,
        reason=request.reason,
        created_by=person.id,
        created_at=micros(now),
        expires_at=_expiry(request.expires_at, now),
    )
    store.lock(tx, row.team_id)
    if len(store.active(tx, row.team_id, micros(now))) >= MOST_HOLDS:
        raise ValidationFailed(f"package: a team can have {MOST_HOLDS} exceptions; remove some.", field="package")
    store.add(tx, row)
    _tell(tx, row, "create", now)
    return row


def visible(tx: Tx, person: Person, key: str) -> Held:
    """Return an exception of one of the person's teams. Raises NotFound."""
    found = store.get(tx, key, person.teams)
    if found is None:
        raise NotFound(f"There is no exception '{key[:64]}'.")
    return found


def remove(tx: Tx, person: Person, key: str, now: datetime) -> Held:
    """End an exception, also for orders that wait; those that have begun keep it. Idempotent.

    Raises NotFound, Forbidden.
    """
    row = visible(tx, person, key)
    person.require(row.team_id, "operator", "patch")
    store.lock(tx, row.team_id)
    if row.removed_at is None:
        store.remove(tx, row.id, micros(now))
        _tell(tx, row, "remove", now)
    return visible(tx, person, key)


def reach(tx: Tx, row: Held, now: datetime) -> Reach:
    """Return how many waiting orders a change of an exception reaches, and which have begun and are not reached."""
    held = row.removed_at is None  # or it was removed; another exception may hold the package still
    found = hold.current(tx, hold.open_in(tx, row.team_id, [row]), now)
    as_meant = [(row.package in options.excluded(one.request)) == held for one in found]
    both = list(zip(found, as_meant, strict=True))
    waiting = [one for one, fits in both if fits and one.status != Status.RUNNING]
    return Reach(len(waiting), [_unreached(one) for one, fits in both if not fits and one.status == Status.RUNNING])


def rendered(row: Held, now: datetime, reached: Reach | None = None) -> PackageException:
    """Return an exception as people see it; ``reached`` is told to who has changed it."""
    expired = row.expires_at is not None and row.expires_at <= micros(now)
    named = {field: "" for field in OBJECTS.values() if field}
    if field := OBJECTS[_scope(row)]:
        named[field] = row.object
    return PackageException(
        id=row.id,
        package=row.package,
        reason=row.reason,
        scope=_scope(row),
        **named,
        created_by=row.created_by,
        created_at=stamp(from_micros(row.created_at)),
        expires_at=stamp_micros(row.expires_at),
        removed_at=stamp_micros(row.removed_at),
        active=not expired and row.removed_at is None,
        reaches=None if reached is None else reached.waiting,
        unreached=[] if reached is None else reached.running,
    )


def _check(request: ExceptionRequest) -> None:
    if GLOBS.intersection(request.package):
        # Which names a pattern means is known on the target alone, and a package that appears tomorrow would slip by.
        raise ValidationFailed("package: give the exact name; patterns are not taken.", field="package")
    if not is_package(request.package):
        raise ValidationFailed(f"package: {request.package!r} is not the name of a package.", field="package")
    needed = OBJECTS[request.scope]
    for field in OBJECTS.values():
        if field and bool(getattr(request, field)) != (field == needed):
            wrong = (
                f"is needed for the scope {request.scope}" if field == needed else f"says nothing for {request.scope}"
            )
            raise ValidationFailed(f"{field}: {wrong} the scope {request.scope}.", field=field)
    for field in ("reason", "tag"):
        if "\0" in getattr(request, field):
            raise ValidationFailed(f"{field}: there is a NUL character in it.", field=field)


def _team(tx: Tx, person: Person, request: ExceptionRequest) -> str:
    """Return the team of what is held, and make sure that it is there. Raises NotFound, Forbidden."""
    if request.scope in {"fleet", "group"}:
        return person.team_for("operator", "patch")
    if request.scope == "host":
        agent = agents.get(tx, request.agent_id, person.teams)
        if agent is None:
            raise NotFound(f"There is no agent '{request.agent_id}'.")
        team_id = agent.team_id
    else:
        guest = inventory.guest(tx, request.guest_id, person.teams)
        if guest is None:
            raise NotFound(f"There is no guest '{request.guest_id}'.")
        team_id = guest.team_id
    person.require(team_id, "operator", "patch")
    return team_id


def _object(request: ExceptionRequest) -> str:
    field = OBJECTS[request.scope]
    named: str = getattr(request, field) if field else ""
    return named.lower() if field == "tag" else named


def _expiry(text: str, now: datetime) -> int | None:
    if not text:
        return None
    try:
        at = parse_stamp(text)
    except ValidationFailed as wrong:
        raise ValidationFailed(f"expires_at: {wrong.message}", field="expires_at") from None
    if at <= now:
        raise ValidationFailed("expires_at: must lie ahead.", field="expires_at")
    return micros(at)


def _tell(tx: Tx, row: Held, verb: str, now: datetime) -> None:
    told = {"package": row.package, "scope": row.scope, "object": row.object, "reason": row.reason}
    audit.note(tx, f"exception.{verb}", row.id, now, row.team_id, **told)
    kind = "exception.added" if verb == "create" else "exception.removed"
    happened = change.Change(kind, f"package/{row.package}", row.id, row.package, detail={**told, "by": tx.caller.id})
    change.tell(tx, change.Place(row.team_id, "", None, ""), [happened], micros(now))


def _unreached(one: Operation) -> Unreached:
    mode = str(one.request["mode"])
    return Unreached(operation_id=one.id, agent_id=one.agent_id, target=one.target, mode=mode)


def _scope(row: Held) -> HoldScope:
    return next(scope for scope in OBJECTS if scope == row.scope)
