"""From the API's answers about a whole cluster to the wire's words: jobs, high availability, Ceph, tasks, votes."""

from collections.abc import Mapping, Sequence
from typing import Any

from nanny_ops.machine.proxmox.guest import whole

Entry = Mapping[str, Any]
Body = dict[str, Any]

#: A task ended well if its status is this, or begins with the other.
WELL, WARNED = "OK", "WARNINGS"


def jobs(entries: Sequence[Entry]) -> list[Body]:
    """Return the backup jobs."""
    found = [
        {
            "id": str(one["id"]),
            "enabled": bool(whole(one.get("enabled", 1))),
            "schedule": str(one.get("schedule") or _old_schedule(one)),
            "storage": str(one.get("storage") or ""),
            "node": str(one.get("node") or ""),
            "mode": str(one.get("mode") or ""),
            "pool": str(one.get("pool") or ""),
            "everything": bool(whole(one.get("all"))),
            "guests": _vmids(one.get("vmid")),
            "exclude": _vmids(one.get("exclude")),
            "next_run": whole(one.get("next-run")),
        }
        for one in entries
    ]
    return sorted(found, key=lambda one: str(one["id"]))[:1024]


def ha(entries: Sequence[Entry]) -> list[Body]:
    """Return the lines of high availability; where it manages nothing only quorum is left."""
    found = [
        {
            "id": str(one["id"]),
            "kind": str(one.get("type") or ""),
            "node": str(one.get("node") or ""),
            "state": str(one.get("state") or one.get("armed-state") or ""),
            "status": str(one.get("status") or "")[:4096],
        }
        for one in entries
    ]
    return sorted(found, key=lambda one: (one["kind"], one["id"]))[:10_000]


def ceph(entry: Entry) -> Body:
    """Return what ``ceph status`` says in short."""
    health, osds, places = entry.get("health") or {}, entry.get("osdmap") or {}, entry.get("pgmap") or {}
    osds = osds.get("osdmap") or osds
    checks = health.get("checks") or {}
    return {
        "health": str(health.get("status") or ""),
        "checks": sorted(f"{name}: {_summary(check)}"[:4096] for name, check in checks.items())[:64],
        "osds": whole(osds.get("num_osds")),
        "osds_up": whole(osds.get("num_up_osds")),
        "osds_in": whole(osds.get("num_in_osds")),
        "degraded_objects": whole(places.get("degraded_objects")),
        "misplaced_objects": whole(places.get("misplaced_objects")),
        "used": places.get("bytes_used"),
        "total": places.get("bytes_total"),
    }


def votes(entries: Sequence[Entry]) -> dict[str, int]:
    """Return the votes of each node."""
    return {str(one.get("name") or one["node"]): whole(one.get("quorum_votes", 1)) for one in entries}


def failed(entry: Entry) -> bool:
    """Tell whether a task of a list has ended badly; one that runs has no end and no status yet."""
    status = str(entry.get("status") or "")
    return bool(entry.get("endtime")) and status != WELL and not status.startswith(WARNED)


def task(entry: Entry) -> Body:
    """Return one failed task."""
    return {
        "upid": str(entry["upid"]),
        "node": str(entry["node"]),
        "kind": str(entry.get("type") or ""),
        "id": str(entry.get("id") or "")[:255],
        "user": str(entry.get("user") or ""),
        "start": whole(entry.get("starttime")),
        "end": whole(entry.get("endtime")),
        "status": str(entry.get("status") or "")[:4096],
    }


def _old_schedule(entry: Entry) -> str:
    """Return the schedule of a job from before calendar events: days and a time."""
    return " ".join(str(entry[key]) for key in ("dow", "starttime") if entry.get(key))


def _vmids(value: Any) -> list[int]:
    return [int(one) for one in str(value or "").replace(";", ",").split(",") if one.strip().isdigit()]


def _summary(check: Any) -> str:
    return str(((check or {}).get("summary") or {}).get("message") or "")
