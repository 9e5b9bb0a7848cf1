"""From the API's answers about guests to the wire's words: snapshots, replication, backups, agent, addresses."""

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Entry = Mapping[str, Any]
Body = dict[str, Any]

#: Items that are told of one guest, at most; the wire's own bounds.
SNAPSHOTS, ADDRESSES, FILESYSTEMS = 1024, 256, 256


def snapshots(entries: Sequence[Entry]) -> list[Body]:
    """Return a guest's snapshots, the oldest first; the API's ``current`` is none."""
    found = [
        {
            "name": str(entry["name"]),
            "at": whole(entry.get("snaptime")),
            "parent": str(entry.get("parent") or ""),
            "description": str(entry.get("description") or "")[:4096],
            "vmstate": bool(entry.get("vmstate")),
        }
        for entry in entries
        if entry.get("name") != "current"
    ]
    return sorted(found, key=lambda one: (one["at"], one["name"]))[:SNAPSHOTS]


def replications(entries: Sequence[Entry]) -> dict[int, list[Body]]:
    """Return the replication jobs of a node's guests by vmid."""
    found: dict[int, list[Body]] = {}
    for entry in sorted(entries, key=lambda entry: str(entry.get("id"))):
        job = {
            "id": str(entry["id"]),
            "target": str(entry.get("target") or ""),
            "schedule": str(entry.get("schedule") or ""),
            "disabled": bool(whole(entry.get("disable"))),
            "last_sync": whole(entry.get("last_sync")),
            "next_sync": whole(entry.get("next_sync")),
            "fail_count": whole(entry.get("fail_count")),
            "error": str(entry.get("error") or "").strip()[:4096],
        }
        found.setdefault(whole(entry.get("guest")), []).append(job)
    return found


def newest_backups(contents: Iterable[Entry]) -> dict[int, Body]:
    """Return the newest backup of each guest, from the lists of all storages."""
    found: dict[int, Body] = {}
    for entry in contents:
        vmid, at = whole(entry.get("vmid")), whole(entry.get("ctime"))
        if not vmid or entry.get("content", "backup") != "backup":
            continue
        if vmid not in found or found[vmid]["last_at"] < at:
            size = whole(entry.get("size"))
            found[vmid] = {"last_at": at, "last_volume": str(entry["volid"]), "last_size": size}
    return found


def agent_off(reason: str) -> Body:
    """Return what is told of a guest agent that does not answer."""
    return {"running": False, "reason": reason[:4096]}


def agent(osinfo: Entry, hostname: Entry, filesystems: Sequence[Entry]) -> Body:
    """Return what is told of a guest agent that answers."""
    return {
        "running": True,
        "hostname": str(hostname.get("host-name") or "")[:255],
        "os": str(osinfo.get("pretty-name") or osinfo.get("name") or "")[:255],
        "os_id": str(osinfo.get("id") or "")[:255],
        "os_version": str(osinfo.get("version-id") or "")[:255],
        "kernel": str(osinfo.get("kernel-release") or "")[:255],
        "filesystems": [
            {
                "mountpoint": str(one.get("mountpoint") or ""),
                "type": str(one.get("type") or ""),
                "total": whole(one.get("total-bytes")),
                "used": whole(one.get("used-bytes")),
            }
            for one in filesystems[:FILESYSTEMS]
        ],
    }


def addresses(interfaces: Sequence[Entry] | None) -> list[str]:
    """Return the addresses inside a guest, without those that only it can reach; both kinds of guests say it alike."""
    found = []
    for interface in interfaces or []:
        for one in interface.get("ip-addresses") or []:
            text = str(one.get("ip-address") or "")
            if _reachable(text):
                found.append(text)
    return sorted(set(found))[:ADDRESSES]


def tags(text: str) -> str:
    """Return tags sorted and joined as the API joins them; files keep them as they were typed."""
    return ";".join(sorted({tag for tag in text.replace(",", ";").replace(" ", ";").split(";") if tag}))


def whole(value: Any) -> int:
    """Read a number that may come as text, as a fraction, or not at all: 0 then."""
    try:
        return max(0, int(float(value))) if value is not None else 0
    except (TypeError, ValueError, OverflowError):
        return 0


def _reachable(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if "%" in text:  # behind it Python takes any words for the zone of an address
        return False
    return not (address.is_loopback or address.is_link_local or address.is_unspecified)
