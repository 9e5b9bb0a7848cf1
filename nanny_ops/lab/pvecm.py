"""Stand-ins for ``pvecm`` (``status`` and ``nodes``) and ``pveversion``: what a node says of its cluster and of itself.

Started as ``python -m nanny_ops.lab.pvecm LAB_DIRECTORY NODE PREFIX PROGRAM ARGUMENT...`` by the scripts of a node.
"""

import datetime
import sys
from pathlib import Path
from typing import Any

from nanny_ops.lab.command_line import Refused
from nanny_ops.lab.door import Door

STANDALONE = "Error: Corosync config '/etc/pve/corosync.conf' does not exist - is this node part of a cluster?"
#: Exit code of ``pvecm status`` without quorum.
NO_QUORUM = 2


def status(rows: list[dict[str, Any]], config: int, now: datetime.datetime) -> tuple[str, int]:
    """Return what ``pvecm status`` prints, and its exit code. Raises Refused outside a cluster."""
    cluster, nodes = _parts(rows)
    here = next(node for node in nodes if node["local"])
    online = [node for node in nodes if node["online"]]
    quorum, quorate = len(nodes) // 2 + 1, bool(cluster["quorate"])
    votes = len(online) if quorate or len(online) < quorum else quorum - 1
    sections = [
        ("Cluster information", [("Name:", cluster["name"]), ("Config Version:", config), ("Transport:", "knet")]),
        (
            "Quorum information",
            [
                ("Date:", f"{now:%a %b %e %H:%M:%S %Y}"),
                ("Quorum provider:", "corosync_votequorum"),
                ("Nodes:", votes),
                ("Node ID:", f"0x{here['nodeid']:08x}"),
                ("Ring ID:", "1.e"),
                ("Quorate:", "Yes" if quorate else "No"),
            ],
        ),
        (
            "Votequorum information",
            [
                ("Expected votes:", len(nodes)),
                ("Highest expected:", len(nodes)),
                ("Total votes:", votes),
                ("Quorum:", f"{quorum} {' ' if quorate else 'Activity blocked'}"),
                ("Flags:", "Quorate " if quorate else ""),
            ],
        ),
    ]
    sections[0][1].append(("Secure auth:", "on"))
    text = "".join(_section(head, pairs) for head, pairs in sections)
    seen = online if quorate else [here]
    rows_of = [f"0x{n['nodeid']:08x}          1 {n['ip']}{' (local)' if n['local'] else ''}\n" for n in seen]
    return text + _members() + "".join(rows_of), 0 if quorate else NO_QUORUM


def nodes(rows: list[dict[str, Any]]) -> str:
    """Return what ``pvecm nodes`` prints. Raises Refused outside a cluster."""
    online = [node for node in _parts(rows)[1] if node["online"]]
    lines = [f"{n['nodeid']:>10}          1 {n['name']}{' (local)' if n['local'] else ''}\n" for n in online]
    return "\n" + _members() + "".join(lines)


def version(told: dict[str, Any]) -> str:
    """Return what ``pveversion`` prints, from a node's status."""
    return f"{told['pveversion']} (running kernel: {told['current-kernel']['release']})\n"


def _parts(rows: list[dict[str, Any]]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    cluster = next((row for row in rows if row["type"] == "cluster"), None)
    if cluster is None:
        raise Refused(STANDALONE, NO_QUORUM)
    return cluster, sorted((row for row in rows if row["type"] == "node"), key=lambda row: int(row["nodeid"]))


def _section(head: str, pairs: list[tuple[str, Any]]) -> str:
    return f"{head}\n{'-' * len(head)}\n" + "".join(f"{name:<18}{value}\n" for name, value in pairs) + "\n"


def _members() -> str:
    head = "Membership information"
    return f"{head}\n{'-' * len(head)}\n    Nodeid      Votes Name\n"


def perform(door: Door, program: str, words: list[str]) -> int:
    """Print what was asked for and return the exit code. Raises Refused."""
    if program == "pveversion" and not words:
        print(version(door.ask("GET", f"/nodes/{door.node}/status")), end="")
        return 0
    if program != "pvecm" or words not in (["status"], ["nodes"]):
        raise Refused(f"ERROR: unknown command '{' '.join([program, *words])}'")
    rows = door.ask("GET", "/cluster/status")
    if words == ["nodes"]:
        print(nodes(rows), end="")
        return 0
    config = next((row.get("version", 0) for row in rows if row["type"] == "cluster"), 0)
    text, code = status(rows, config, datetime.datetime.now().astimezone())
    print(text, end="")
    return code


def main(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    try:
        return perform(Door(Path(arguments[0]), arguments[1]), arguments[3], arguments[4:])
    except Refused as refused:
        print(refused.text, file=sys.stderr)
        return refused.code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
