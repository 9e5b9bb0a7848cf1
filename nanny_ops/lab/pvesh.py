"""A stand-in for Proxmox VE's ``pvesh``: the API on the command line, as JSON.

Started as ``python -m nanny_ops.lab.pvesh LAB_DIRECTORY NODE PREFIX ARGUMENT...`` by the script of a node.
Like the real one it ends with 0 when a task has failed. Tables for people are not imitated.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

from nanny_ops.lab import guest_command
from nanny_ops.lab.command_line import Refused
from nanny_ops.lab.door import Declined, Door, TaskFailed

METHODS = {"get": "GET", "create": "POST", "set": "PUT", "delete": "DELETE"}
#: Options of the program itself.
OWN = frozenset({"output-format", "noproxy", "quiet", "human-readable", "noborder", "noheader"})


def read(arguments: list[str]) -> tuple[str, str, dict[str, Any], dict[str, str]]:
    """Return command, path, the call's parameters and the program's own options. Raises Refused."""
    if len(arguments) < 2 or arguments[0] not in METHODS:
        raise Refused("ERROR: no command specified\nUSAGE: pvesh <COMMAND> [ARGS] [OPTIONS]")
    parameters: dict[str, Any] = {}
    own: dict[str, str] = {}
    queue = arguments[2:]
    while queue:
        word = queue.pop(0)
        match = re.fullmatch(r"--?([A-Za-z][\w-]*)(?:=(.*))?", word, re.DOTALL)
        if match is None:
            raise Refused(f"400 too many arguments\n{usage(arguments[0])}")
        value = match[2] if match[2] is not None else queue.pop(0) if queue else "1"
        if match[1] in OWN:
            own[match[1]] = value
        elif match[1] in parameters:
            found = parameters[match[1]]
            parameters[match[1]] = [*(found if isinstance(found, list) else [found]), value]
        else:
            parameters[match[1]] = value
    return arguments[0], arguments[1], parameters, own


def usage(command: str) -> str:
    """Return the line with which a wrong call ends."""
    return f"pvesh {command} <api_path> [OPTIONS] [FORMAT_OPTIONS]"


def perform(door: Door, command: str, path: str, parameters: dict[str, Any], own: dict[str, str]) -> None:
    """Make one call and print its answer. Raises Refused."""
    try:
        data = door.ask(METHODS[command], quote(path, safe="/:@!"), parameters)
    except Declined as declined:
        if declined.status == 501:
            raise Refused(f"No '{command}' handler defined for '{path}'", 1) from declined
        if declined.errors:
            told = "".join(f"{name}: {text}\n" for name, text in sorted(declined.errors.items()))
            raise Refused(f"400 Parameter verification failed.\n{told}{usage(command)}") from declined
        raise
    if isinstance(data, str) and data.startswith("UPID:"):
        _follow(door, data)
    else:
        print(written(data, own.get("output-format", "text")), end="")


def _follow(door: Door, upid: str) -> None:
    """Wait for a task, print its name and, on stderr, its failure, which is none to the exit code."""
    try:
        said = door.finish(upid)
    except TaskFailed as failed:
        said = failed.said
        print(failed.text, file=sys.stderr)
    print("".join(f"{line}\n" for line in said) + upid)


def written(data: object, form: str) -> str:
    """Return an answer as text. Raises Refused for a table."""
    if data is None:
        return "" if form == "text" else "null\n"
    if form == "json":
        return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n"
    if form == "json-pretty":
        return guest_command.pretty(data)
    if isinstance(data, (dict, list)):
        raise Refused("this stand-in prints no tables; add --output-format json")
    return f"{data}\n"


def main(arguments: list[str]) -> int:
    """Make one call and return the exit code."""
    try:
        perform(Door(Path(arguments[0]), arguments[1]), *read(arguments[3:]))
    except Refused as refused:
        print(refused.text, file=sys.stderr)
        return refused.code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
