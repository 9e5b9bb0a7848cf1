"""A patch that is to do what a dry run has shown: what it takes from there, and where it came out otherwise.

A package manager plans anew whenever it runs, and a repository may have changed since. So the order is bound to the
packages that were shown, not to their versions, and what came out otherwise is told afterwards.
"""

from collections.abc import Collection, Sequence
from dataclasses import fields, replace

from nanny_ops.control.services import order
from nanny_ops.control.services import patch_option as options
from nanny_ops.control.services import script as scripts
from nanny_ops.control.services.principal import Person
from nanny_ops.control.store import operation as operations
from nanny_ops.control.store import patch as patches
from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.operation import Operation
from nanny_ops.errors import Conflict, ValidationFailed
from nanny_ops.protocol.operation import Status
from nanny_ops.protocol.patch import Difference, PackageChange, PatchOperation, PatchRequest
from nanny_ops.protocol.patch_order import Hold
from nanny_ops.protocol.patch_report import Left

#: What comes with the dry run, and is not said again.
TAKEN = ("script_id", "script_args", "exclude", "only", "security_only", "dist_upgrade", "autoremove", "conffiles")
#: Shipped scripts whose package managers upgrade all or nothing.
WHOLE = frozenset({"pacman"})
#: Most packages that an order can name.
MOST = 1000
#: Changes that follow from others and are not chosen by name.
FOLLOW = frozenset({"install", "remove"})


def followed(tx: Tx, person: Person, request: PatchRequest, target: str, held: Collection[Hold]) -> PatchRequest:
    """Return a request with what its dry run had, for the packages that it listed and that nothing holds back since.

    Raises NotFound, ValidationFailed, and Conflict for a dry run of another target, or one that shows nothing to do.
    """
    usual = {field.name: _usual(field.name) for field in fields(PatchRequest) if field.name in TAKEN}
    for name, value in usual.items():
        if getattr(request, name) != value:
            raise ValidationFailed(f"{name}: comes with the dry run of as_shown; leave it out.", field=name)
    if request.mode != "apply":
        raise ValidationFailed("as_shown: is for mode apply.", field="as_shown")
    dry = order.visible(tx, person, "patch", request.as_shown)
    if (dry.agent_id, dry.target) != (request.agent_id, target):
        raise Conflict(f"{dry.id} was for {dry.target} of {dry.agent_id}; order a dry run of this target first.")
    if dry.request["mode"] != "dry-run" or dry.status != Status.COMPLETED:
        raise Conflict(f"{dry.id} is no dry run that has ended well; order one first.", status=dry.status)
    asked = dry.request
    told = options.restored(asked)
    taken = {name: asked.get(name, told.get(name, usual[name])) for name in TAKEN if name != "only"}
    script = scripts.named(tx, dry.script_id or "", [dry.team_id])
    names = _names(dry, patches.changes_of(tx, dry.id), {one.name for one in held})
    return replace(request, **taken | {"only": [] if script.name in WHOLE else names, "script_id": script.id})


def differences(tx: Tx, operation: Operation, found: PatchOperation) -> list[Difference] | None:
    """Return where an ended order came out otherwise than its dry run has shown; None where that cannot be told."""
    if not found.as_shown or found.finished_at is None or found.package_list is None:
        return None
    if operations.get(tx, found.as_shown, "patch", [operation.team_id]) is None:
        return None
    # A script names what is left of ``only``; what an exception had taken out of it by then is known here alone.
    held = [Left(name=one.name, why="exception", reason=one.reason) for one in found.holds]
    left = found.report.left if found.report is not None else []
    return compared(patches.changes_of(tx, found.as_shown), found.package_list, [*left, *held])


def compared(
    shown: Sequence[PackageChange], done: Sequence[PackageChange], left: Sequence[Left] = ()
) -> list[Difference]:
    """Return each package that was shown and did not come so, then each that came without having been shown."""
    came = {(one.name, one.action == "remove"): one for one in done}
    why = {one.name: one for one in left}
    found = []
    for one in shown:
        mine = came.pop((one.name, one.action == "remove"), None)
        if mine is None:
            reason = why.get(one.name, Left(name=one.name, why="not_done"))
            found.append(Difference(name=one.name, shown=one.version, why=reason.why, reason=reason.reason))
        elif mine.version != one.version:
            found.append(Difference(name=one.name, shown=one.version, done=mine.version, why="another_version"))
    return [*found, *(Difference(name=one.name, done=one.version, why="not_shown") for one in came.values())]


def _names(dry: Operation, changes: Sequence[PackageChange], held: Collection[str]) -> list[str]:
    names = [one.name for one in changes if one.action not in FOLLOW]
    if not names:
        raise Conflict(f"{dry.id} shows no package to upgrade, so there is nothing to do as shown.")
    if len(names) > MOST:
        raise Conflict(f"{dry.id} shows {len(names)} packages; {MOST} at most can be named, so order without it.")
    free = [name for name in names if name not in held]
    if not free:
        raise Conflict(f"All that {dry.id} shows is held back by now.", package=names[0])
    return free


def _usual(name: str) -> object:
    return getattr(PatchRequest(agent_id="-", mode="apply"), name)
