"""A stand-in for Proxmox VE's ``qm``: virtual machines of one node of a lab, through the lab's API.

Started as ``python -m nanny_ops.lab.qm LAB_DIRECTORY NODE PREFIX ARGUMENT...`` by the script in a node's ``bin_dir``.
"""

import sys
import time
from pathlib import Path
from typing import Any

from nanny_ops.lab import guest_command
from nanny_ops.lab.command_line import QM, Call, Refused
from nanny_ops.lab.door import Declined, Door

GIB = 1 << 30
#: Seconds between two looks at a program in a guest.
PAUSE = 0.2
#: What the API answers, and what the program prints, when a program is not there.
WORKER_DIED = 596
MISSING = (
    "Wide character in die at /usr/share/perl5/PVE/RESTHandler.pm line 1008.\n"
    "Agent error: Guest agent command failed, error was "
    "'Failed to execute child process \N{LEFT DOUBLE QUOTATION MARK}{}\N{RIGHT DOUBLE QUOTATION MARK} "
    "(No such file or directory)'"
)


def perform(door: Door, call: Call) -> None:
    """Do what was asked and print what the program prints. Raises Refused."""
    if call.command == "list":
        print(listing(door.ask("GET", f"/nodes/{door.node}/qemu", {"full": 1})), end="")
    elif call.command == "guest exec":
        _execute(door, call)
    elif call.command == "guest exec-status":
        status = door.ask("GET", f"{_agent(door, call)}/exec-status", {"pid": call.words[1]})
        print(guest_command.pretty(status), end="")
    elif call.command in {"agent", "guest cmd"}:
        answer = door.ask("POST", _agent(door, call), {"command": call.words[1]})
        print(guest_command.pretty(answer["result"]) if answer["result"] else "", end="")
    else:
        guest_command.perform(QM, door, "qemu", call)


def listing(rows: list[dict[str, Any]]) -> str:
    """Return the table of ``qm list``, which is empty without machines; memory in MiB, disk in GiB."""
    head = f"{'VMID':>10} {'NAME':<20} {'STATUS':<10} {'MEM(MB)':<10} {'BOOTDISK(GB)':>12} {'PID':<10}\n"
    lines = [
        f"{row['vmid']:>10} {row.get('name', '-'):<20} {row['status']:<10} {row.get('maxmem', 0) // (1 << 20):<10} "
        f"{row.get('maxdisk', 0) / GIB:>12.2f} {row.get('pid') or 0:<10}\n"
        for row in sorted(rows, key=lambda row: int(row["vmid"]))
    ]
    return head + "".join(lines) if lines else ""


def _execute(door: Door, call: Call) -> None:
    """Run a program in a guest; whatever it comes to, this ends with 0."""
    if not call.rest:
        raise QM.wrong_parameters(call.command, {"extra-args": "property is missing and it is not optional"})
    told: dict[str, Any] = {"command": call.rest}
    if call.options["pass-stdin"] == "1":
        told["input-data"] = sys.stdin.read()
    try:
        pid = door.ask("POST", f"{_agent(door, call)}/exec", told)["pid"]
    except Declined as declined:
        if declined.status != WORKER_DIED:
            raise
        raise Refused(MISSING.format(call.rest[0]), 29) from declined
    until = time.monotonic() + float(call.options["timeout"])
    while call.options["synchronous"] == "1":
        status = door.ask("GET", f"{_agent(door, call)}/exec-status", {"pid": pid})
        if status["exited"]:
            print(guest_command.pretty(status), end="")
            return
        if time.monotonic() >= until:
            print("timeout reached, returning pid", file=sys.stderr)
            break
        time.sleep(PAUSE)
    print(guest_command.pretty({"pid": pid}), end="")


def _agent(door: Door, call: Call) -> str:
    return f"/nodes/{door.node}/qemu/{call.words[0]}/agent"


def main(arguments: list[str]) -> int:
    """Run one qm command and return its exit code."""
    try:
        door = Door(Path(arguments[0]), arguments[1])
        perform(door, QM.parse(arguments[3:], guest_command.look_in_schema(door.key.release, "qemu")))
    except Refused as refused:
        sys.stdout.flush()
        print(refused.text, file=sys.stderr)
        # A machine that does not run is error number 2 to the guest agent, and no error number to the rest.
        silent = isinstance(refused, Declined) and refused.text.endswith("is not running")
        return 2 if silent else refused.code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
