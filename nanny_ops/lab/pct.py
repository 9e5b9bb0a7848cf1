"""A stand-in for Proxmox VE's ``pct``: the same options, exit codes and texts, over this lab's guests of one node.

Started as ``python -m nanny_ops.lab.pct LAB_DIRECTORY NODE PREFIX ARGUMENT...`` by the script in a node's ``bin_dir``.
Sentences are the real program's, including its habit of ending with 0 when a file could not be copied.
"""

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from nanny_ops.errors import MachineError
from nanny_ops.lab.guest import CopyFailed, Guest, pull, push
from nanny_ops.lab.pct_line import Call, Refused, parse


@dataclass(frozen=True)
class Node:
    """The lab's directory, this node's name, and what container names begin with."""

    directory: Path
    name: str
    prefix: str

    def conf(self, vmid: int) -> str:
        """Return a container's configuration. Raises Refused with the code that real pct ends with."""
        relative = f"nodes/{self.name}/lxc/{vmid}.conf"
        try:
            return (self.directory / relative).read_text()
        except FileNotFoundError as wrong:
            raise Refused(f"Configuration file '{relative}' does not exist", 2) from wrong

    def vmids(self) -> list[int]:
        """Return the ids of this node's containers in order."""
        return sorted(int(path.stem) for path in (self.directory / "nodes" / self.name / "lxc").glob("*.conf"))

    def guest(self, vmid: int) -> Guest:
        """Return the real container of this id where there is one, else the simulated guest."""
        # Imported here: half of the start-up time, and a refused command line needs neither.
        from nanny_ops.lab.lxc import Container
        from nanny_ops.lab.simulated import SimulatedGuest

        container = Container(f"{self.prefix}-{vmid}", self.directory / "lxc")
        if container.rootfs.is_dir():
            return container
        return SimulatedGuest((self.directory / "simulated").resolve() / str(vmid), vmid)


def perform(node: Node, call: Call) -> None:
    """Do what was asked; ``exec`` never returns. Raises Refused, CopyFailed, MachineError."""
    if call.command == "list":
        _list(node)
    elif call.command in {"push", "pull"}:
        _copy(node, call)
    elif call.command in {"start", "stop", "shutdown"}:
        _power(node, call)
    elif call.command == "exec":
        _exec(node, call)
    else:
        _show(node, call)


def _exec(node: Node, call: Call) -> NoReturn:
    if not call.rest:
        raise Refused("missing command at /usr/share/perl5/PVE/CLI/pct.pm line 239.")
    vmid = int(call.words[0])
    node.conf(vmid)
    guest = node.guest(vmid)
    if guest.pid() is None:
        raise Refused(f"container '{vmid}' not running!")
    try:
        guest.replace_process(call.rest, keep_env=call.options["keep-env"] != "0")
    except OSError as wrong:  # only a simulated guest comes here; lxc-attach tells by itself
        found = isinstance(wrong, FileNotFoundError)
        text = f'lxc-attach: {vmid}: simulated guest: {os.strerror(wrong.errno or 0)} - Failed to exec "{call.rest[0]}"'
        raise Refused(text, 127 if found else 126) from wrong


def _copy(node: Node, call: Call) -> None:
    vmid, source, target = int(call.words[0]), call.words[1], call.words[2]
    running = vmid in node.vmids() and node.guest(vmid).pid() is not None
    if call.command == "push":
        if not running:
            raise Refused("can only push files to a running CT")
        push(node.guest(vmid), source, target, **call.options)
    else:
        if not running:
            raise Refused("can only pull files from a running VM at /usr/share/perl5/PVE/CLI/pct.pm line 657.")
        pull(node.guest(vmid), source, target)


def _power(node: Node, call: Call) -> None:
    vmid = int(call.words[0])
    if call.command == "start":
        _start(node, vmid, call)
        return
    guest = node.guest(vmid)
    if vmid not in node.vmids() or guest.pid() is None:
        raise Refused(f"CT {vmid} not running")
    lock = re.search(r"^lock: (.+)$", node.conf(vmid), re.MULTILINE)
    if lock and call.options.get("skiplock", "0") != "1":
        raise Refused(f"CT is locked ({lock[1]})")
    if call.command == "stop":
        guest.stop()
    elif not guest.shutdown(float(call.options["timeout"])):
        if call.options["forceStop"] != "1":
            raise Refused("container did not stop")
        guest.stop()


def _start(node: Node, vmid: int, call: Call) -> None:
    try:
        conf = node.conf(vmid)
    except Refused as refused:
        raise Refused(refused.text) from refused
    if re.search(r"^template: 1$", conf, re.MULTILINE):
        raise Refused("you can't start a CT if it's a template")
    if node.guest(vmid).pid() is not None:
        raise Refused(f"CT {vmid} already running")
    if (lock := re.search(r"^lock: (.+)$", conf, re.MULTILINE)) and call.options["skiplock"] != "1":
        raise Refused(f"CT is locked ({lock[1]})")
    node.guest(vmid).start()


def _show(node: Node, call: Call) -> None:
    vmid = int(call.words[0])
    conf = node.conf(vmid)
    if call.command == "config":
        print(shown(conf), end="")
    else:
        print(f"status: {'stopped' if node.guest(vmid).pid() is None else 'running'}")


def shown(conf: str) -> str:
    """Return a configuration as ``pct config`` prints it: the description in its place, percent-encoded."""
    lines = conf.partition("\n[")[0].splitlines()  # behind the first heading stand snapshots
    comment = "".join(f"{line[1:]}%0A" for line in lines if line.startswith("#"))
    settings = [line for line in lines if not line.startswith("#")]
    if comment:
        settings.append("description: " + comment)
    return "".join(f"{line}\n" for line in sorted(settings))


def _list(node: Node) -> None:
    rows = [("VMID", "Status", "Lock", "Name")]
    for vmid in node.vmids():
        conf = node.conf(vmid)
        lock, name = (re.search(rf"^{key}: (.+)$", conf, re.MULTILINE) for key in ("lock", "hostname"))
        state = "stopped" if node.guest(vmid).pid() is None else "running"
        rows.append((str(vmid), state, lock[1] if lock else "", name[1] if name else ""))
    if len(rows) > 1:
        print("".join("{:<10} {:<10} {:<12} {:<20}\n".format(*row) for row in rows), end="")


def main(arguments: list[str]) -> int:
    """Run one pct command and return its exit code."""
    node = Node(Path(arguments[0]), arguments[1], arguments[2])
    try:
        perform(node, parse(arguments[3:]))
    except Refused as refused:
        print(refused.text, file=sys.stderr)
        return refused.code
    except CopyFailed as failed:
        print(failed, file=sys.stderr)
        return 0
    except MachineError as wrong:
        print(wrong.message, file=sys.stderr)
        return 255
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
