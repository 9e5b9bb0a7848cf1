"""The calls about the packages of a node."""

import hashlib
from typing import Any

from nanny_ops.lab.pve.api import Api, Route, Row
from nanny_ops.lab.pve.call import Call
from nanny_ops.lab.pve.refusal import Refusal
from nanny_ops.lab.pve.shape.version import VERSIONS
from nanny_ops.lab.pve.state import software
from nanny_ops.lab.pve.state.software import Package, Update
from nanny_ops.lab.pve.state.task import Worker

KERNEL = "6.8.12-15-pve"
#: Seconds that fetching the lists takes where no mirror answers; the task ends well nevertheless.
FETCHING = 85.0
_SOURCES = "/etc/apt/sources.list.d/debian.sources"
_FILE_DIGEST = hashlib.sha256(_SOURCES.encode())


def pending(api: Api, call: Call) -> Any:
    """Answer with the updates that a node waits for."""
    own = api.cluster.nodes[call.node].updates
    return api.shuffled([_update(u) for u in (software.updates(api.cluster.release) if own is None else own)])


def _update(update: Update) -> Row:
    row = _described(update.name, update.arch, update.section)
    return row | {"Origin": update.origin, "OldVersion": update.old, "Version": update.new}


def _described(name: str, arch: str, section: str) -> Row:
    return {
        "Package": name,
        "Arch": arch,
        "Section": section,
        "Priority": "optional",
        "Title": name,
        "Description": f"{name} of the lab",
    }


def fetch(api: Api, call: Call) -> Any:
    """Begin a task that fetches the lists of packages; of two at once the second fails."""
    running = [task for task in api.tasks.of(call.node) if task.kind == "aptupdate" and not task.exitstatus]
    return api.tasks.begin(
        call.node, "aptupdate", "", call.caller.who, lambda worker: _fetch(worker, busy=bool(running))
    )


def _fetch(worker: Worker, *, busy: bool) -> None:
    worker.say("starting apt-get update")
    if busy:
        raise Refusal(500, "command 'apt-get update' failed: exit code 100")
    worker.take(FETCHING)


def versions(api: Api, _call: Call) -> Any:
    """Answer with the versions of the packages that matter."""
    return [_version(package, api.cluster.release) for package in software.packages(api.cluster.release)]


def _version(package: Package, release: str) -> Row:
    state = "Installed" if package.installed else "NotInstalled"
    row = _described(package.name, package.arch, package.section)
    row |= {"Version": package.version, "CurrentState": state, "Origin": "Proxmox"}
    row |= {"OldVersion": package.version} if package.installed else {}
    row |= {"RunningKernel": KERNEL} if package.name == "proxmox-ve" else {}
    return row | ({"ManagerVersion": "/".join(VERSIONS[release])} if package.name == "pve-manager" else {})


def changelog(_api: Api, call: Call) -> Any:
    """Answer as a node without a mirror does."""
    name = call.text("name")
    return f"E: Failed to fetch changelog:/{name}.changelog  Changelog unavailable for {name}"


def repositories(_api: Api, _call: Call) -> Any:
    """Answer with where packages come from."""
    sources = [("debian", ["bookworm", "bookworm-updates"]), ("debian-security", ["bookworm-security"])]
    files = {
        "path": _SOURCES,
        "file-type": "sources",
        "digest": list(_FILE_DIGEST.digest()),
        "repositories": [
            {
                "Enabled": 1,
                "FileType": "sources",
                "Types": ["deb"],
                "URIs": [f"http://mirror.invalid/{name}"],
                "Suites": suites,
                "Components": ["main"],
            }
            for name, suites in sources
        ],
    }
    known = [("enterprise", "Enterprise"), ("no-subscription", "No-Subscription"), ("test", "Test")]
    return {
        "digest": _FILE_DIGEST.hexdigest(),
        "errors": [],
        "infos": [],
        "files": [files],
        "standard-repos": [{"handle": handle, "name": name, "status": None} for handle, name in known],
    }


ROUTES = (
    Route("GET", "/nodes/{node}/apt/update", pending),
    Route("POST", "/nodes/{node}/apt/update", fetch),
    Route("GET", "/nodes/{node}/apt/versions", versions),
    Route("GET", "/nodes/{node}/apt/changelog", changelog),
    Route("GET", "/nodes/{node}/apt/repositories", repositories),
)
