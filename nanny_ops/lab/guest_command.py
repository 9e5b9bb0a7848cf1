"""Commands that ``pct`` and ``qm`` have in common: carried out by the lab's API, told as the programs tell it."""

import datetime
import json
import sys
from collections.abc import Mapping
from typing import Any

from nanny_ops.lab.command_line import Call, Grammar, Look
from nanny_ops.lab.door import Declined, Door, TaskFailed

#: Command -> method and path below the guest's.
CALLS = {
    "start": ("POST", "/status/start"),
    "stop": ("POST", "/status/stop"),
    "shutdown": ("POST", "/status/shutdown"),
    "reboot": ("POST", "/status/reboot"),
    "snapshot": ("POST", "/snapshot"),
    "delsnapshot": ("DELETE", "/snapshot/{snapname}"),
    "rollback": ("POST", "/snapshot/{snapname}/rollback"),
    "set": ("PUT", "/config"),
    "config": ("GET", "/config"),
    "migrate": ("POST", "/migrate"),
}
#: Characters of a snapshot's name with its place in the tree, and of its time.
_NAME_WIDTH, _TIME_WIDTH = 30, 23


def look_in_schema(release: str, kind: str) -> Look:
    """Return what says of an option of a command whether the schema has it, and whether it is a flag."""

    def look(command: str, name: str) -> bool | None:
        # Imported here: reading the schema takes longer than most commands.
        from nanny_ops.lab.pve.schema.parameter import specification
        from nanny_ops.lab.pve.schema.table import table

        method, path = CALLS[command]
        described = table(release).calls[f"{method} /nodes/{{node}}/{kind}/{{vmid}}{path}"]
        found = None if name in {"node", "vmid", "snapname", "target"} else specification(described.parameters, name)
        return None if found is None else found.get("type") == "boolean"

    return look


def perform(grammar: Grammar, door: Door, kind: str, call: Call) -> None:
    """Do what was asked of a guest and print what the program prints. Raises Refused."""
    path = f"/nodes/{door.node}/{kind}/{call.words[0]}"
    if call.command == "config":
        print(shown(door.ask("GET", f"{path}/config", call.options)), end="")
    elif call.command == "pending":
        print(waiting(door.ask("GET", f"{path}/pending")), end="")
    elif call.command == "listsnapshot":
        sys.stdout.buffer.write(perl(tree(door.ask("GET", f"{path}/snapshot"))))
    elif call.command == "status":
        print(status(door.ask("GET", f"{path}/status/current"), verbose=call.options["verbose"] == "1"), end="")
    elif call.command == "unlock":
        door.unlock(int(call.words[0]), kind)
    else:
        _change(grammar, door, path, call)


def _change(grammar: Grammar, door: Door, path: str, call: Call) -> None:
    method, below = CALLS[call.command]
    parameters = dict(call.options)
    if call.command in {"snapshot", "migrate"}:
        parameters["snapname" if call.command == "snapshot" else "target"] = call.words[1]
    try:
        if call.command == "rollback":
            said = _rollback(door, path, call)
        else:
            said = door.conduct(method, path + below.format(snapname=call.words[-1]), parameters)
    except Declined as declined:
        if declined.errors:
            raise grammar.wrong_parameters(call.command, declined.errors) from declined
        raise
    except TaskFailed as failed:
        print("".join(f"{line}\n" for line in failed.said), end="")
        raise
    print("".join(f"{line}\n" for line in said), end="")


def _rollback(door: Door, path: str, call: Call) -> list[str]:
    """Roll back, and start the guest by an order of its own: unlike the API the programs wait for that too."""
    parameters = {name: value for name, value in call.options.items() if name != "start"}
    said = door.conduct("POST", f"{path}/snapshot/{call.words[1]}/rollback", parameters)
    if call.options.get("start") == "1":
        said += door.conduct("POST", f"{path}/status/start")
    return said


def shown(settings: Mapping[str, Any]) -> str:
    """Return a configuration as ``config`` prints it: sorted, the description percent-encoded."""
    rows = {key: value for key, value in settings.items() if key != "digest"}
    if "description" in rows:
        rows["description"] = "".join(_encoded(character) for character in str(rows["description"]))
    return "".join(f"{key}: {rows[key]}\n" for key in sorted(rows))


def waiting(rows: list[dict[str, Any]]) -> str:
    """Return settings as ``pending`` prints them: what is, what waits, what is to go."""
    lines: list[str] = []
    for row in sorted(rows, key=lambda row: str(row["key"])):
        if row["key"] == "digest":
            continue
        for word, name in (("cur", "value"), ("new", "pending")):
            if name in row:
                text = str(row[name])
                encoded = "".join(map(_encoded, text)) if row["key"] == "description" else text
                lines.append(f"{word} {row['key']}: {encoded}\n")
        if row.get("delete"):
            lines.append(f"del {row['key']}\n")
    return "".join(lines)


def tree(rows: list[dict[str, Any]]) -> str:
    """Return snapshots as ``listsnapshot`` prints them: each below its parent, the present last."""
    names = {row["name"] for row in rows}
    lines: list[str] = []

    def below(parent: str, depth: int) -> None:
        for row in sorted(rows, key=lambda row: (row.get("snaptime", float("inf")), row["name"])):
            if (row.get("parent", "") if row.get("parent", "") in names else "") == parent:
                lines.append(_branch(row, depth))
                below(row["name"], depth + 1)

    below("", 0)
    return "".join(lines)


def perl(text: str) -> bytes:
    """Return what Perl makes of a text that nobody encoded: Latin-1 as long as that is possible."""
    return text.encode("latin-1" if all(ord(character) < 256 for character in text) else "utf-8")


def _branch(row: dict[str, Any], depth: int) -> str:
    name = f"{' ' * depth}`-> {row['name']}"
    made = ""
    if "snaptime" in row:
        made = datetime.datetime.fromtimestamp(row["snaptime"]).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    text = str(row.get("description", "")).partition("\n")[0] or "no-description"
    return f"{name:<{_NAME_WIDTH + 1}} {made:<{_TIME_WIDTH}} {text}\n"


def status(current: Mapping[str, Any], *, verbose: bool) -> str:
    """Return ``status``: one line, or all plain figures."""
    if not verbose:
        return f"status: {current['status']}\n"
    # How much CPU is used, and waited for, shows only between two looks, and the program looks once.
    figures = {key: value for key, value in current.items() if key != "cpu" and not key.startswith("pressure")}
    plain = {key: value for key, value in figures.items() if not isinstance(value, (dict, list))}
    return "".join(f"{key}: {'' if plain[key] is None else plain[key]}\n" for key in sorted(plain))


def pretty(data: object) -> str:
    """Return JSON as Perl's printer writes it."""
    return json.dumps(data, indent=3, sort_keys=True, separators=(",", " : "), ensure_ascii=False) + "\n"


def _encoded(character: str) -> str:
    plain = character == " " or (character.isascii() and character.isprintable() and character not in ":%")
    return character if plain else "".join(f"%{byte:02X}" for byte in character.encode())
