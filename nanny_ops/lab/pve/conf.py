"""A guest's configuration: as the API shows it, and as the file below ``nodes/`` holds it, byte for byte."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nanny_ops.lab.pve.state.guest import CONF_DIRECTORY, Conf, Guest

#: Kind -> how the file heads what waits for the next start.
PENDING = {"lxc": "pve:pending", "qemu": "PENDING"}


def digest(guest: Guest) -> str:
    """Return the SHA-1 of the guest's file, by which Proxmox VE notices that it has changed."""
    return hashlib.sha1(render(guest).encode()).hexdigest()


def shown(guest: Guest, conf: Mapping[str, Any]) -> Conf:
    """Return settings of the guest as the API answers them, with the digest."""
    return {**conf, "digest": digest(guest)}


def render(guest: Guest) -> str:
    """Return the text of the configuration file."""
    parts = [_section(guest.conf)]
    if guest.pending:
        parts.append(f"\n[{PENDING[guest.kind]}]\n{_waiting(guest.pending)}")
    parts += [f"\n[{name}]\n{_section(guest.snapshots[name])}" for name in sorted(guest.snapshots)]
    return "".join(parts)


def encoded(text: str) -> str:
    """Return one line of a description as the file has it: percent-encoded but for plain letters and signs."""
    return "".join(_encoded(character) for character in text)


def _encoded(character: str) -> str:
    plain = character.isascii() and character.isprintable() and character not in ":%"
    return character if plain else "".join(f"%{byte:02X}" for byte in character.encode())


def _section(conf: Mapping[str, Any]) -> str:
    comment = "".join(f"#{encoded(line)}\n" for line in str(conf.get("description", "")).splitlines())
    keys = sorted(key for key in conf if key != "description")
    return comment + "".join(f"{key}: {conf[key]}\n" for key in keys)


def _waiting(pending: Mapping[str, Any]) -> str:
    doomed = sorted(key for key, value in pending.items() if value is None)
    fresh = {key: value for key, value in pending.items() if value is not None}
    return (f"delete: {','.join(doomed)}\n" if doomed else "") + _section(fresh)


@dataclass(frozen=True)
class ConfTree:
    """The configuration files below ``directory``, laid out as Proxmox VE's cluster file system lays them out."""

    directory: Path

    def path(self, guest: Guest) -> Path:
        """Return where a guest's file lies."""
        return self.directory / "nodes" / guest.node / CONF_DIRECTORY[guest.kind] / f"{guest.vmid}.conf"

    def write(self, guest: Guest) -> None:
        """Write a guest's file, whole or not at all."""
        path = self.path(guest)
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(f".tmp.{os.getpid()}")
        fresh.write_text(render(guest))
        fresh.replace(path)

    def remove(self, guest: Guest) -> None:
        """Remove a guest's file."""
        self.path(guest).unlink(missing_ok=True)
