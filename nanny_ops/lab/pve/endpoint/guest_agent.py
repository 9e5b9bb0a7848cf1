"""The calls that the agent inside a virtual machine answers."""

import base64
import binascii
import re
from collections.abc import Callable
from typing import Any

from nanny_ops.lab.pve.api import Api, Route
from nanny_ops.lab.pve.call import Call
from nanny_ops.lab.pve.endpoint.guest import found
from nanny_ops.lab.pve.refusal import Refusal
from nanny_ops.lab.pve.shape.guest import link_local
from nanny_ops.lab.pve.state.guest import Guest
from nanny_ops.lab.pve.state.guest_agent import check

#: What the real program lists below ``agent``.
_NAMES = (
    "exec exec-status file-read file-write fsfreeze-freeze fsfreeze-status fsfreeze-thaw fstrim get-fsinfo "
    "get-host-name get-memory-block-info get-memory-blocks get-osinfo get-time get-timezone get-users get-vcpus info "
    "network-get-interfaces ping set-user-password shutdown suspend-disk suspend-hybrid suspend-ram"
)
#: Commands that the agent itself says it supports, without their prefix ``guest-``.
_SUPPORTED = (
    "exec exec-status file-close file-flush file-open file-read file-seek file-write fsfreeze-freeze "
    "fsfreeze-freeze-list fsfreeze-status fsfreeze-thaw fstrim get-cpustats get-devices get-disks get-diskstats "
    "get-fsinfo get-host-name get-memory-block-info get-memory-blocks get-osinfo get-time get-timezone get-users "
    "get-vcpus info network-get-interfaces ping set-memory-blocks set-time set-user-password set-vcpus shutdown "
    "ssh-add-authorized-keys ssh-get-authorized-keys ssh-remove-authorized-keys suspend-disk suspend-hybrid "
    "suspend-ram sync sync-delimited"
)
#: Those that only a Windows has.
_DISABLED = frozenset({"get-devices"})
#: Those whose success is not answered.
_SILENT = ("suspend-", "shutdown")
_OSINFO = {
    "id": "debian",
    "name": "Debian GNU/Linux",
    "pretty-name": "Debian GNU/Linux 12 (bookworm)",
    "version": "12 (bookworm)",
    "version-id": "12",
    "kernel-release": "6.1.0-41-amd64",
    "kernel-version": "#1 SMP PREEMPT_DYNAMIC Debian 6.1",
    "machine": "x86_64",
}
#: Bytes of a file that one call tells.
MOST_READ = 16 * 1024 * 1024
_COUNTERS = tuple(f"{way}-{what}" for way in ("rx", "tx") for what in ("bytes", "packets", "errs", "dropped"))


def index(_api: Api, _call: Call) -> Any:
    """Answer with the agent's commands."""
    return [{"name": name} for name in _NAMES.split()]


def _machine(api: Api, call: Call) -> Guest:
    guest, reading = found(api, call)
    check(guest, running=reading.running)
    return guest


def execute(api: Api, call: Call) -> Any:
    """Start a program and answer with its number."""
    guest = _machine(api, call)
    return {"pid": api.programs.start(guest, call.words("command"), call.text("input-data").encode())}


def execution(api: Api, call: Call) -> Any:
    """Answer with how a program stands."""
    return api.programs.result(_machine(api, call), call.number("pid"))


def file_read(api: Api, call: Call) -> Any:
    """Answer with a file's content."""
    guest, path = _machine(api, call), call.text("file")
    try:
        content = api.programs.inside.read(guest, path)
    except OSError as wrong:
        raise _unopened(path, "r", wrong) from wrong
    # Only 9.x knows pieces and base64; to 8.x the schema refuses these parameters.
    start = call.number("offset")
    piece = content[start : start + call.number("count", MOST_READ)]
    told = piece.decode("latin-1") if call.flag("decode", default=True) else base64.b64encode(piece).decode()
    return {"content": told, "bytes-read": len(piece)} | ({"truncated": 1} if len(content) > start + len(piece) else {})


def file_write(api: Api, call: Call) -> None:
    """Write a file; with ``encode=0`` the content comes in base64."""
    guest, path = _machine(api, call), call.text("file")
    content = call.text("content").encode()
    if not call.flag("encode", default=True):
        try:
            content = base64.b64decode(content)
        except binascii.Error as wrong:
            raise Refusal(500, "Agent error: invalid base64 data") from wrong
    try:
        api.programs.inside.write(guest, path, content)
    except OSError as wrong:
        raise _unopened(path, "w+", wrong) from wrong


def _unopened(path: str, mode: str, wrong: OSError) -> Refusal:
    return Refusal(500, f"Agent error: failed to open file '{path}' (mode: '{mode}'): {wrong.strerror}")


def _info(_api: Api, _guest: Guest) -> Any:
    commands = [
        {"name": f"guest-{name}", "enabled": name not in _DISABLED, "success-response": not name.startswith(_SILENT)}
        for name in _SUPPORTED.split()
    ]
    return {"version": "7.2.22", "supported_commands": commands}


def _osinfo(_api: Api, guest: Guest) -> Any:
    return _OSINFO | guest.habits.system


def _host_name(_api: Api, guest: Guest) -> Any:
    return {"host-name": guest.name}


def _time(api: Api, _guest: Guest) -> Any:
    return int(api.clock() * 1e9)


def _timezone(_api: Api, _guest: Guest) -> Any:
    return {"offset": 0, "zone": "UTC"}


def _users(_api: Api, _guest: Guest) -> Any:
    return []


def _vcpus(_api: Api, guest: Guest) -> Any:
    return [{"logical-id": number, "online": True, "can-offline": number > 0} for number in range(guest.cores)]


def _filesystems(_api: Api, guest: Guest) -> Any:
    if guest.habits.filesystem is None:
        return []
    used, total = guest.habits.filesystem
    return [{"name": "sda1", "mountpoint": "/", "type": "ext4", "used-bytes": used, "total-bytes": total, "disk": []}]


def _interfaces(_api: Api, guest: Guest) -> Any:
    rows = [_interface("lo", "00:00:00:00:00:00", [("127.0.0.1", 8), ("::1", 128)])]
    for number, key in enumerate(sorted(key for key in guest.conf if re.fullmatch(r"net\d+", key))):
        mac = str(guest.conf[key]).partition("=")[2].partition(",")[0].lower()  # virtio=BC:24:...,bridge=vmbr0
        own = [(guest.habits.address, 24)] if guest.habits.address and number == 0 else []
        rows.append(_interface(f"eth{number}", mac, [*own, (link_local(mac), 64)]))
    return rows


def _interface(name: str, mac: str, addresses: list[tuple[str, int]]) -> dict[str, Any]:
    listed = [
        {"ip-address": address, "prefix": prefix, "ip-address-type": "ipv6" if ":" in address else "ipv4"}
        for address, prefix in addresses
    ]
    counters = dict.fromkeys(_COUNTERS, 0)
    return {"name": name, "hardware-address": mac, "ip-addresses": listed, "statistics": counters}


def _nothing(_api: Api, _guest: Guest) -> Any:
    return {}


def _thawed(_api: Api, _guest: Guest) -> Any:
    return "thawed"


#: Command -> method, what it results in.
_COMMANDS: dict[str, tuple[str, Callable[[Api, Guest], Any]]] = {
    "ping": ("POST", _nothing),
    "info": ("GET", _info),
    "get-osinfo": ("GET", _osinfo),
    "get-host-name": ("GET", _host_name),
    "get-time": ("GET", _time),
    "get-timezone": ("GET", _timezone),
    "get-users": ("GET", _users),
    "get-vcpus": ("GET", _vcpus),
    "get-fsinfo": ("GET", _filesystems),
    "network-get-interfaces": ("GET", _interfaces),
    "fsfreeze-status": ("POST", _thawed),
}


def _answering(command: Callable[[Api, Guest], Any]) -> Callable[[Api, Call], Any]:
    def answer(api: Api, call: Call) -> Any:
        """Answer with what the agent's command results in."""
        return {"result": command(api, _machine(api, call))}

    return answer


def any_command(api: Api, call: Call) -> Any:
    """Answer a command that is named by a parameter."""
    name = call.text("command")
    guest = _machine(api, call)
    if name not in _COMMANDS:
        raise Refusal(500, f"Agent error: the lab's machines do not know the command '{name}'")
    return {"result": _COMMANDS[name][1](api, guest)}


_AGENT = "/nodes/{node}/qemu/{vmid}/agent"
ROUTES = (
    Route("GET", _AGENT, index),
    Route("POST", _AGENT, any_command),
    Route("POST", f"{_AGENT}/exec", execute),
    Route("GET", f"{_AGENT}/exec-status", execution),
    Route("GET", f"{_AGENT}/file-read", file_read),
    Route("POST", f"{_AGENT}/file-write", file_write),
    *(Route(method, f"{_AGENT}/{name}", _answering(command)) for name, (method, command) in _COMMANDS.items()),
)
