"""The distilled schema: which path and method mean which call, and what is known of it. Read once, when first asked."""

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

Json = dict[str, Any]
FILE = Path(__file__).with_name("table.json")


@dataclass(frozen=True)
class Described:
    """One call as the schema has it.

    ``parameters`` maps names to specifications; ``permission`` is the schema's own tree, empty when only root may
    call; ``proxyto`` names the path part that says which node answers; a ``protected`` call is carried out by a daemon
    with root's rights; ``returns`` is the JSON type of ``data``; the rows of an index name their child by the key
    ``link``.
    """

    method: str
    path: str
    parameters: dict[str, Json]
    permission: Json
    proxyto: str
    protected: bool
    returns: str
    link: str


@dataclass(frozen=True)
class Found:
    """A call and what stands in the path's variable parts."""

    described: Described
    parts: dict[str, str]


class Table:
    """The calls of one release; paths are looked up part by part, fixed parts before variable ones."""

    def __init__(self, release: str) -> None:
        """Read the calls of ``release``, ``8.4`` or ``9.2``."""
        data = _data()
        self.calls: dict[str, Described] = {}
        #: The schema has no entry for the top itself.
        top = Described("GET", "/", {}, {"user": "all"}, "", protected=False, returns="array", link="subdir")
        self._root: Json = {" GET": top}
        for name, call in data["methods"][release].items():
            method, path = name.split(" ", 1)
            found = _described(data, method, path, call)
            self.calls[name] = found
            node = self._root
            for part in _parts(path):
                node = node.setdefault("{}" if part.startswith("{") else part, {})
            node[f" {method}"] = found

    def find(self, method: str, path: str) -> Found | None:
        """Return the call of a method and a path without prefix, or None when there is none."""
        parts = _parts(path)
        described = _walk(self._root, parts, f" {method}")
        if described is None:
            return None
        names = [part[1:-1] for part in _parts(described.path) if part.startswith("{")]
        values = [given for part, given in zip(_parts(described.path), parts, strict=True) if part.startswith("{")]
        return Found(described, dict(zip(names, values, strict=True)))

    def children(self, path: str) -> list[str]:
        """Return the fixed parts that may follow a path of the schema, such as ``/nodes/{node}``."""
        node = self._root
        for part in _parts(path):
            node = node["{}" if part.startswith("{") else part]
        return [part for part in node if part != "{}" and not part.startswith(" ")]


@lru_cache(maxsize=4)
def table(release: str) -> Table:
    """Return the table of a release."""
    return Table(release)


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part]


def _walk(node: Json, parts: list[str], leaf: str) -> Described | None:
    """Go down, and where a fixed part leads nowhere try the variable one."""
    if not parts:
        found: Described | None = node.get(leaf)
        return found
    for step in (parts[0], "{}"):
        if step in node and not step.startswith(" ") and (found := _walk(node[step], parts[1:], leaf)):
            return found
    return None


def _described(data: Json, method: str, path: str, call: Json) -> Described:
    parameters = {name: data["parameters"][number] for name, number in call["p"].items()}
    permission = data["permissions"][call["a"]] if "a" in call else {}
    return Described(
        method, path, parameters, permission, call.get("n", ""), bool(call.get("d")), call["r"], call.get("l", "")
    )


@lru_cache(maxsize=1)
def _data() -> Json:
    data: Json = json.loads(FILE.read_text())
    return data
