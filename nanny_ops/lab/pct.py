"""A stand-in for Proxmox VE's ``pct``: the same options, exit codes and texts, over this lab's guests of one node.

Started as ``python -m nanny_ops.lab.pct LAB_DIRECTORY NODE PREFIX ARGUMENT...`` by the script in a node's ``bin_dir``.
Sentences are the real program's, including its habit of ending with 0 when a file could not be copied.
"""

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from nanny_ops.errors import MachineError
from nanny_ops.lab.command_line import PCT, Call, Refused
from nanny_ops.lab.guest import CopyFailed, Guest, pull, push

if TYPE_CHECKING:
    from nanny_ops.lab.door import Door


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

    @property
    def door(self) -> "Door":
        """Return the way to the lab's process, which only some commands need."""
        from nanny_ops.lab.door import Door

        return Door(self.directory, self.name)

    def look(self, command: str, option: str) -> bool | None:
        """Say whether a command has an option, and whether it is a flag."""
        from nanny_ops.lab.guest_command import look_in_schema

        return look_in_schema(self.door.key.release, "lxc")(command, option)

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
    elif call.command == "exec":
        _exec(node, call)
    elif call.command == "status" and call.options["verbose"] != "1":
        vmid = int(call.words[0])
        node.conf(vmid)
        print(f"status: {'stopped' if node.guest(vmid).pid() is None else 'running'}")
    else:
        from nanny_ops.lab import guest_command

        guest_command.perform(PCT, node.door, "lxc", call)


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
        missing = isinstance(wrong, FileNotFoundError)
        text = f'lxc-attach: {vmid}: simulated guest: {os.strerror(wrong.errno or 0)} - Failed to exec "{call.rest[0]}"'
        raise Refused(text, 127 if missing else 126) from wrong


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
        perform(node, PCT.parse(arguments[3:], node.look))
    except Refused as refused:
        sys.stdout.flush()
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
