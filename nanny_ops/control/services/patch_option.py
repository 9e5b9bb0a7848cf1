"""The options of a patch order: whether they make sense, whether its agent can keep to them, and how they are kept."""

import re
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, TypeVar
from urllib.parse import urlsplit

from nanny_ops.control.services import script as scripts
from nanny_ops.control.store.agent import Agent
from nanny_ops.control.store.database import Tx
from nanny_ops.errors import Conflict, ValidationFailed
from nanny_ops.protocol.feature import FEATURES, HOOKS, PROBES, PROTECTION, PRUNE, QEMU, SCRIPT_OPTIONS, START_STOPPED
from nanny_ops.protocol.legacy import NANNYAGENT
from nanny_ops.protocol.patch_order import (
    OPTIONS,
    SNAPSHOT_HOURS,
    SNAPSHOT_KEEP,
    Hold,
    Hook,
    PatchOptions,
    option_argv,
)
from nanny_ops.protocol.probe import Probe

T = TypeVar("T", bound=PatchOptions)
PLAIN = asdict(PatchOptions())
#: A name that systemd takes for a unit, and one that Proxmox VE takes for a storage.
UNIT = re.compile(r"[A-Za-z0-9:_.@\\-]+")
STORAGE = re.compile(r"[A-Za-z][A-Za-z0-9._-]*")
#: What each kind of probe cannot do without.
NEEDS = {"unit": ("unit",), "tcp": ("port",), "http": ("url", "port"), "command": ("argv",), "load": ("most",)}


def check(tx: Tx, options: PatchOptions, target: str, team_id: str) -> None:
    """Raise ValidationFailed for options that mean nothing, NotFound for a hook's script that is not there."""
    if target == "host" and options.protect not in {"none", "prefer-snapshot"}:
        raise ValidationFailed(
            "protect: a host has no snapshot or backup of its own; use none or prefer-snapshot.", field="protect"
        )
    if options.backup_storage and not STORAGE.fullmatch(options.backup_storage):
        raise ValidationFailed("backup_storage: is not the name of a storage.", field="backup_storage")
    for place, hook in enumerate(options.hooks):
        if hook.script_url:
            raise ValidationFailed(f"hooks.{place}: name the script by script_id only.", field="hooks")
        if any("\0" in word for word in hook.args):
            raise ValidationFailed(f"hooks.{place}: there is a NUL character in its args.", field="hooks")
        scripts.named(tx, hook.script_id, [team_id])
    for place, probe in enumerate(options.probes):
        _check_probe(f"probes.{place}", probe)


def needed(options: PatchOptions, target: str) -> dict[str, str]:
    """Return the features that an order needs of its agent, each with what in the order needs it."""
    asked = {
        SCRIPT_OPTIONS: bool(option_argv(options)),
        PROTECTION: options.protect != "none",
        PRUNE: _differs(options),
        HOOKS: bool(options.hooks),
        PROBES: bool(options.probes or options.bake_seconds),
        START_STOPPED: options.start_stopped,
        QEMU: target.startswith("qemu:"),
    }
    return {name: FEATURES[name] for name, wanted in asked.items() if wanted}


def demand(agent: Agent, options: PatchOptions, target: str) -> None:
    """Raise Conflict unless the agent says that it can do all that is asked."""
    # An agent of the older dialect takes whatever fits into its one argument.
    able = {SCRIPT_OPTIONS} if agent.dialect == NANNYAGENT else set(agent.features)
    missing = {name: what for name, what in needed(options, target).items() if name not in able}
    if missing:
        raise Conflict(
            f"The agent on {agent.hostname} (version {agent.version or 'unknown'}) cannot do this: "
            f"{'; '.join(missing.values())}. Update it, or leave that out.",
            features=sorted(missing),
        )


def settled(options: T, keep: int, hours: int) -> T:
    """Return options that say how many snapshots stay, and for how long: these, unless the order says otherwise."""
    if not options.protect.endswith("snapshot"):
        return options
    asked, most = options.snapshot_keep, options.snapshot_max_age_hours
    keep, hours = keep if asked is None else asked, hours if most is None else most
    return replace(options, snapshot_keep=keep, snapshot_max_age_hours=hours)


def kept(options: PatchOptions) -> dict[str, Any]:
    """Return what is kept of options: those that are not as by default."""
    told = {name: value for name, value in _plain(options).items() if value != PLAIN[name]}
    for hook in told.get("hooks", ()):
        hook["script_url"] = f"/api/patches/{hook['script_id']}/script"
    return told


def restored(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return kept options as they are told again."""
    told = {name: asked[name] for name in OPTIONS if name in asked}
    told["hooks"] = [Hook(**one) for one in asked.get("hooks", ())]
    told["probes"] = [Probe(**one) for one in asked.get("probes", ())]
    return told


def holds(asked: Mapping[str, Any]) -> list[Hold]:
    """Return the kept holds."""
    return [Hold(**one) for one in asked.get("holds", ())]


def excluded(asked: Mapping[str, Any]) -> list[str]:
    """Return the packages that an order leaves as they are: those a person named, then those that are held."""
    named: list[str] = asked.get("exclude", [])
    return [*named, *(one["name"] for one in asked.get("holds", ()) if one["name"] not in named)]


def _differs(options: PatchOptions) -> bool:
    """Tell whether other snapshots are to stay than those that every agent keeps."""
    asked = (options.snapshot_keep, options.snapshot_max_age_hours)
    return options.protect.endswith("snapshot") and any(
        one not in (None, usual) for one, usual in zip(asked, (SNAPSHOT_KEEP, SNAPSHOT_HOURS), strict=True)
    )


def _plain(options: PatchOptions) -> dict[str, Any]:
    told = {name: getattr(options, name) for name in OPTIONS}
    return {**told, "hooks": [asdict(one) for one in options.hooks], "probes": [asdict(one) for one in options.probes]}


def _check_probe(field: str, probe: Probe) -> None:
    names = NEEDS.get(probe.kind, ())
    if names and not any(getattr(probe, name) for name in names):
        needed = " or ".join(names)
        raise ValidationFailed(f"{field}: a probe of the kind {probe.kind} needs {needed}.", field="probes")
    if probe.kind == "unit" and not UNIT.fullmatch(probe.unit):
        raise ValidationFailed(f"{field}: {probe.unit!r} is not the name of a unit.", field="probes")
    if probe.url and not _is_address(probe.url):
        raise ValidationFailed(f"{field}: url begins with http:// or https:// and holds no password.", field="probes")
    words = (probe.unit, probe.host, probe.url, probe.path, probe.body, *probe.argv)
    if any("\0" in word for word in words):
        raise ValidationFailed(f"{field}: there is a NUL character in it.", field="probes")


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.password is None
    except ValueError:
        return False
