"""Make the table of calls out of published schema files: ``python -m nanny_ops.lab.pve.schema.distil 8.4=FILE ...``.

Only facts are kept (paths, names, types, bounds, patterns, choices, privileges), no descriptions. Equal specifications
of parameters stand once and are referred to by number.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Json = dict[str, Any]
#: What is kept of a parameter's specification.
FACTS = (
    "type",
    "optional",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "pattern",
    "enum",
    "requires",
    "alias",
    "keyAlias",
    "default_key",
)


def distil(trees: dict[str, list[Json]]) -> Json:
    """Return ``parameters``, ``permissions`` and, by release, ``methods``: ``"GET /path" -> call``."""
    parameters: list[str] = []
    permissions: list[str] = []
    methods: dict[str, Json] = {}
    for release, tree in trees.items():
        methods[release] = {}
        for path, method, described in _calls(tree):
            found = _call(described, parameters, permissions)
            methods[release][f"{method} {path}"] = found
    return {
        "parameters": [json.loads(text) for text in parameters],
        "permissions": [json.loads(text) for text in permissions],
        "methods": methods,
    }


def _calls(nodes: list[Json]) -> Iterator[tuple[str, str, Json]]:
    for node in nodes:
        for method, described in sorted((node.get("info") or {}).items()):
            yield node["path"], method, described
        yield from _calls(node.get("children") or [])


def _call(described: Json, parameters: list[str], permissions: list[str]) -> Json:
    properties = (described.get("parameters") or {}).get("properties") or {}
    found: Json = {name: _number(parameters, _facts(properties[name])) for name in sorted(properties)}
    call: Json = {"p": found, "r": (described.get("returns") or {}).get("type", "null")}
    allowed = {key: value for key, value in (described.get("permissions") or {}).items() if key != "description"}
    if allowed:
        call["a"] = _number(permissions, allowed)
    if described.get("protected"):
        call["d"] = 1
    if "proxyto" in described:
        call["n"] = described["proxyto"]
    for link in (described.get("returns") or {}).get("links") or []:
        call["l"] = link["href"].strip("{}")
    return call


def _facts(described: Json) -> Json:
    found = {key: described[key] for key in FACTS if key in described}
    kind = described.get("format")
    if isinstance(kind, dict):
        found["format"] = {name: _facts(part) for name, part in sorted(kind.items())}
    elif kind is not None:
        found["format"] = kind
    if "items" in described:
        found["items"] = _facts(described["items"])
    return found


def _number(known: list[str], what: Json) -> int:
    text = json.dumps(what, sort_keys=True)
    if text not in known:
        known.append(text)
    return known.index(text)


def render(table: Json) -> str:
    """Return the table as JSON with one call a line, so that a difference between releases can be read."""
    lines = ["{"]
    for part in ("parameters", "permissions"):
        rows = ",\n".join(json.dumps(row, sort_keys=True, separators=(",", ":")) for row in table[part])
        lines.append(f'"{part}": [\n{rows}\n],')
    lines.append('"methods": {')
    releases = []
    for release, calls in table["methods"].items():
        rows = ",\n".join(
            f"{json.dumps(name)}: {json.dumps(call, sort_keys=True, separators=(',', ':'))}"
            for name, call in sorted(calls.items())
        )
        releases.append(f'"{release}": {{\n{rows}\n}}')
    return "\n".join([*lines, ",\n".join(releases), "}}"]) + "\n"


def main(arguments: list[str]) -> int:
    """Read ``RELEASE=FILE`` arguments and print the table."""
    trees = {}
    for argument in arguments:
        release, _, name = argument.partition("=")
        trees[release] = json.loads(Path(name).read_text())["tree"]
    print(render(distil(trees)), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
