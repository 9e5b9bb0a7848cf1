"""Guest configurations as Proxmox VE keeps them in files: keys, a description in comments, sections for snapshots."""

import re
from dataclasses import dataclass, field
from urllib.parse import unquote

_SECTION = re.compile(r"\[(?P<name>[^\]]+)\]\s*")
_PAIR = re.compile(r"(?P<key>[a-z][a-z_]*\d*):[ \t]*(?P<value>.*?)\s*", re.IGNORECASE)


@dataclass
class GuestConf:
    """One guest's configuration: what is active, and the same for each snapshot; descriptions are decoded."""

    current: dict[str, str] = field(default_factory=dict)
    snapshots: dict[str, dict[str, str]] = field(default_factory=dict)
    pending: dict[str, str] = field(default_factory=dict)


def parse(text: str) -> GuestConf:
    """Read a file such as ``/etc/pve/lxc/101.conf``; lines that are no pairs (raw ``lxc.*`` keys ...) are left out."""
    conf = GuestConf()
    section: dict[str, str] = conf.current
    comments: dict[int, list[str]] = {}
    owners = {id(section): section}
    for line in text.splitlines():
        if named := _SECTION.fullmatch(line):
            section = _open(conf, named["name"])
            owners[id(section)] = section
        elif line.startswith("#"):
            comments.setdefault(id(section), []).append(unquote(line[1:]))
        elif pair := _PAIR.fullmatch(line):
            key, value = pair["key"], pair["value"]
            section[key] = unquote(value) if key == "description" else value
    for owner, lines in comments.items():
        owners[owner].setdefault("description", "".join(line + "\n" for line in lines))
    return conf


def _open(conf: GuestConf, name: str) -> dict[str, str]:
    """Return where a section's lines go; names with a colon are Proxmox VE's own and no snapshots."""
    if name.lower() == "pve:pending":
        return conf.pending
    if ":" in name:
        return {}
    return conf.snapshots.setdefault(name, {})
