"""Patch orders: whether one may be placed, and how it looks to people."""

import shlex
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from nanny_ops.control.services import audit, hold, lease, legacy, order, policy, preview, request_key, upkeep
from nanny_ops.control.services import patch_option as options
from nanny_ops.control.services import script as scripts
from nanny_ops.control.services.principal import Person
from nanny_ops.control.services.word import is_package
from nanny_ops.control.store import package_exception as exceptions
from nanny_ops.control.store import patch as patches
from nanny_ops.control.store import proxmox as inventory
from nanny_ops.control.store.agent import Agent
from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.operation import Operation
from nanny_ops.control.store.package_exception import Tagged
from nanny_ops.control.store.proxmox import Guest
from nanny_ops.errors import Conflict, ValidationFailed
from nanny_ops.protocol import patch_report
from nanny_ops.protocol.clock import from_micros, micros, stamp, stamp_micros
from nanny_ops.protocol.legacy import NANNYAGENT
from nanny_ops.protocol.operation import ENDED, Kind, Status, guest_kind, parse_guest
from nanny_ops.protocol.patch import DEFAULT_EXPIRY, PackageChange, PastEnd, PatchOperation, PatchRequest, PatchTerms
from nanny_ops.protocol.patch_order import Hold

KIND: Kind = "patch"
KINDS = {"lxc": "a container", "qemu": "a virtual machine"}
#: What is kept of every order; its options are kept beside them.
KEPT = ("mode", "script_args", "exclude", "only", "security_only", "timeout_seconds")


def place(tx: Tx, person: Person, request: PatchRequest, key: str, now: datetime) -> tuple[Operation, bool]:
    """Order a patch and tell its agent; return the operation, and whether it is a new one.

    The same ``key`` with the same request gives the same operation for a day. Raises NotFound, Forbidden, Conflict,
    ValidationFailed, NoScriptForTarget.
    """
    agent = order.addressee(tx, person, request.agent_id)
    asked = request_key.read(person, key, request)
    if (earlier := order.repeated(tx, asked, now)) is not None:
        return earlier, False
    return order.create(tx, make(tx, person, agent, request, now), asked), True


def withdraw(tx: Tx, person: Person, operation_id: str, now: datetime) -> tuple[Operation, bool]:
    """Cancel an order; return it, and whether this ended it. Idempotent.

    Raises NotFound, Forbidden, and Conflict when it has ended otherwise.
    """
    return order.withdraw(tx, person, KIND, operation_id, now)


def release(tx: Tx, person: Person, operation_id: str, now: datetime) -> Operation:
    """Let go of an ended order's target although nobody has told that its script is over. Idempotent.

    Raises NotFound, Forbidden, and Conflict while it is open: what may still begin or run is cancelled first.
    """
    operation = visible(tx, person, operation_id)
    person.require(operation.team_id, "operator", "patch")
    if Status(operation.status) not in ENDED:
        raise Conflict(
            f"The operation is {operation.status}; cancel it before its target is released.", status=operation.status
        )
    if operation.held_until is None:
        return operation
    lease.release(tx, operation, now)
    told = {"agent": operation.agent_id, "target": operation.target}
    audit.note(tx, "patch.release", operation.id, now, operation.team_id, **told)
    return replace(operation, held_until=None)


def visible(tx: Tx, person: Person, operation_id: str) -> Operation:
    """Return an operation of one of the person's teams. Raises NotFound."""
    return order.visible(tx, person, KIND, operation_id)


def readable(tx: Tx, person: Person, operation_id: str) -> Operation:
    """Return an operation whose output the person may read: operators, and who ordered it. Raises also Forbidden."""
    operation = visible(tx, person, operation_id)
    if operation.created_by != person.id:
        person.require(operation.team_id, "operator", "read")
    return operation


def shown(tx: Tx, found: Sequence[Operation], now: datetime) -> list[PatchOperation]:
    """Return operations as lists show them: those that wait with what they would leave if they began now."""
    return [rendered(one) for one in hold.current(tx, found, now)]


def detail(tx: Tx, operation: Operation, now: datetime) -> PatchOperation:
    """Return an operation as people see it, with its package list and its report."""
    if operation.result is None:
        return shown(tx, [operation], now)[0]
    told = patches.report_of(tx, operation.id)
    report = None if told is None else patch_report.restored(told)
    found = replace(rendered(operation, patches.changes_of(tx, operation.id)), report=report)
    return replace(found, differences=preview.differences(tx, operation, found))


def rendered(operation: Operation, packages: list[PackageChange] | None = None) -> PatchOperation:
    """Return an operation as people see it."""
    asked, result = operation.request, operation.result or {}
    return PatchOperation(
        id=operation.id,
        agent_id=operation.agent_id,
        mode=asked["mode"],
        status=operation.status,
        outcome=operation.outcome,
        reason=operation.reason,
        target=operation.target,
        lxc_id=operation.target.replace(":", "-") if operation.target.startswith("lxc:") else "",
        vmid=str(operation.vmid or ""),
        script_id=operation.script_id or "",
        script_url=f"/api/patches/{operation.script_id}/script",
        script_args=asked["script_args"],
        **options.restored(asked),
        exclude=options.excluded(asked),
        holds=options.holds(asked),
        only=asked["only"],
        security_only=asked["security_only"],
        timeout_seconds=asked["timeout_seconds"],
        created_by=operation.created_by,
        as_shown=asked.get("as_shown", ""),
        batch_id=operation.batch_id or "",
        created_at=stamp(from_micros(operation.created_at)),
        updated_at=stamp(from_micros(operation.updated_at)),
        expires_at=stamp(from_micros(operation.expires_at)),
        delivered_at=stamp_micros(operation.delivered_at),
        started_at=stamp_micros(operation.started_at),
        finished_at=stamp_micros(operation.finished_at),
        waiting_for=lease.waiting_for(operation),
        silent_since=stamp_micros(operation.silent_at) if operation.status == Status.RUNNING else None,
        holds_until=stamp_micros(operation.held_until),
        duration=result.get("duration"),
        exit_code=result.get("exit_code"),
        stdout_truncated=result.get("stdout_truncated", False),
        stderr_truncated=result.get("stderr_truncated", False),
        package_count=result.get("package_count"),
        package_list=packages,
        outputs_dropped_at=stamp_micros(operation.outputs_dropped_at),
        history=[PastEnd(**past) for past in result.get("history", [])],
    )


def make(tx: Tx, person: Person, agent: Agent, request: PatchRequest, now: datetime) -> Operation:
    """Return the operation that a request comes to, not yet written.

    Raises Conflict, NotFound, ValidationFailed, NoScriptForTarget.
    """
    order.demand_trust(agent)
    check_words(request)
    guest, vmid, target, families = _aim(tx, agent, request)
    options.check(tx, request, target, agent.team_id)
    options.demand(agent, request, target)
    place = Tagged(guest.id, guest.tags) if guest is not None else None
    held = hold.of(exceptions.active(tx, agent.team_id, micros(now)), agent, place, target)
    if request.as_shown:
        request = preview.followed(tx, person, request, target, held)
    asked = _without({**{name: getattr(request, name) for name in KEPT}, **options.kept(request)}, held)
    if request.as_shown:
        asked["as_shown"] = request.as_shown
    if agent.dialect == NANNYAGENT:
        legacy.check(asked)
    if request.script_id:
        script = scripts.named(tx, request.script_id, [agent.team_id])
    else:
        script = scripts.for_families(tx, upkeep.words(tx, agent, target, families))
    hooks = [scripts.named(tx, hook.script_id, [agent.team_id]) for hook in request.hooks]
    policy.demand(tx, agent, "patch", vmid, now, mode=request.mode, scripts=[script, *hooks])
    lapses = order.expiry(request.expires_at, now, timedelta(seconds=DEFAULT_EXPIRY))
    return order.new(person, agent, KIND, target, asked, lapses, now, vmid=vmid, script_id=script.id)


def check_words(request: PatchTerms) -> None:
    """Raise ValidationFailed for names and arguments that cannot be handed to a script."""
    for field, names in (("exclude", request.exclude), ("only", request.only)):
        for name in names:
            if not is_package(name):
                raise ValidationFailed(f"{field}: {name!r} is not the name of a package.", field=field)
    if both := sorted(set(request.exclude) & set(request.only)):
        raise ValidationFailed(f"only: '{both[0]}' is excluded at the same time.", field="only")
    if "\0" in request.script_args:
        raise ValidationFailed("script_args: there is a NUL character in it.", field="script_args")
    try:
        shlex.split(request.script_args)
    except ValueError as wrong:
        raise ValidationFailed(f"script_args: cannot be split into words: {wrong}.", field="script_args") from None


def _without(asked: dict[str, Any], held: Sequence[Hold]) -> dict[str, Any]:
    """Return what is asked with the exceptions that count for its target. Raises Conflict where it asks for one."""
    for one in held:
        if one.name in asked["only"]:
            until = f" until {one.expires_at}" if one.expires_at else ""
            raise Conflict(f"'{one.name}' is held back{until}: {one.reason}", package=one.name)
    return hold.written(asked, held)


def _aim(tx: Tx, agent: Agent, request: PatchRequest) -> tuple[Guest | None, int | None, str, list[str]]:
    """Return the guest an order is for, as far as it is known, its number, the target, and what it runs.

    A guest that nobody has reported yet is taken to be a container that runs what its host runs, unless the order says
    that it is a virtual machine. Raises Conflict for one that is gone, ValidationFailed for one of another kind.
    """
    host = [agent.platform, agent.platform_family]
    vmid = parse_guest(request.lxc_id, request.vmid)
    said = guest_kind(str(request.vmid)) or ("lxc" if request.lxc_id else "")
    if vmid is None:
        return None, None, "host", host
    guest = inventory.known_guest(tx, agent.cluster_pk or agent.id, vmid)
    if guest is None:  # the inventory may be late; the agent says so when there is no such guest
        return None, vmid, f"{said or 'lxc'}:{vmid}", host
    if guest.gone_at is not None:
        raise Conflict(f"Guest {vmid} ({guest.name}) is gone.", vmid=vmid)
    if said and guest.kind != said:
        raise ValidationFailed(f"vmid: guest {vmid} ({guest.name}) is {KINDS[guest.kind]}.", field="vmid")
    if guest.template:
        raise Conflict(f"Guest {vmid} ({guest.name}) is a template; nothing runs in it.", vmid=vmid)
    return guest, vmid, f"{guest.kind}:{vmid}", _runs(guest) or host


def _runs(guest: Guest) -> list[str]:
    """Return the words for what a guest runs; of a virtual machine only its guest agent knows the distribution."""
    told = guest.body.get("guest_agent") or {}
    identity, version = told.get("os_id", ""), told.get("os_version", "")
    named = f"{identity}:{version}" if identity and version else identity
    words = [guest.ostype] if guest.kind == "lxc" else [named, guest.ostype]
    return [word for word in words if word]
