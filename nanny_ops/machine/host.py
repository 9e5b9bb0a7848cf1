"""Who this machine is, read from the files that say so."""

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from nanny_ops.machine import address, boot
from nanny_ops.machine.verbs import HostFacts

#: Families in the order in which a distribution's ID and ID_LIKE are asked for them.
FAMILIES = ("debian", "rhel", "fedora", "suse", "arch", "alpine")


def describe(
    addresses: Mapping[str, Sequence[str]], root: Path = Path("/"), uname: os.uname_result | None = None
) -> HostFacts:
    """Return the facts about the host whose file system begins at ``root``; ``addresses`` by interface."""
    system = uname or os.uname()
    release = os_release(root)
    route = address.default_route(_text(root / "proc/net/route"))
    return HostFacts(
        hostname=system.nodename,
        platform=release.get("ID", system.sysname.lower()),
        platform_family=family(release),
        platform_version=release.get("VERSION_ID", ""),
        kernel_version=system.release,
        kernel_arch=system.machine,
        os_type=system.sysname.lower(),
        primary_ip=address.primary(addresses, route),
        all_ips=address.every(addresses, route)[:256],
        proxmox=is_proxmox(root),
        boot_id=boot.identity(root),
    )


def os_release(root: Path = Path("/")) -> dict[str, str]:
    """Return the pairs of os-release, empty where there is none."""
    text = _text(root / "etc/os-release") or _text(root / "usr/lib/os-release")
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line and not line.startswith("#"))
    return {name.strip(): _unquote(value) for name, _, value in pairs}


def family(release: Mapping[str, str]) -> str:
    """Return the family of a distribution, its own ID where it descends from none that we know."""
    words = {release.get("ID", ""), *release.get("ID_LIKE", "").split()}
    known = (name for name in FAMILIES if any(word == name or word.startswith(f"{name}-") for word in words))
    return next(known, "suse" if "opensuse" in words else release.get("ID", ""))


def is_proxmox(root: Path = Path("/")) -> bool:
    """Say whether this is a Proxmox VE node: it has pct, and the cluster's file system is mounted."""
    has_pct = any((root / place).exists() for place in ("usr/sbin/pct", "usr/bin/pct"))
    return has_pct and (root / "etc/pve").is_dir()


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""


def _unquote(value: str) -> str:
    try:
        return "".join(shlex.split(value)[:1])
    except ValueError:
        return value.strip()
