"""What the collection asks is what the control plane offers: each address, each name that is sent or read."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.nanny.ops.plugins.module_utils.calls import CALLS, Call

from nanny_ops.control.app import create_app
from nanny_ops.control.settings import Settings
from tests.house.tree import ROOT

PLUGINS = ROOT / "ansible" / "collections" / "ansible_collections" / "nanny" / "ops" / "plugins"
#: What may be sent and is not offered, with the reason.
NOT_OFFERED = {
    "place patch": {"lxc_id"},  # the guide's name for what vmid says of both kinds
    "place reboot": {"lxc_id"},
    "sign script": {"algorithm"},  # there is one
    "set password": {"current"},  # of one's own account alone, which no program changes
}
TEXT = {"patch stdout", "patch stderr"}


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The control plane's description of itself."""
    app = create_app(Settings(data_dir=tmp_path_factory.mktemp("data")))
    described = app.openapi()
    app.state.control.database.close()
    return described


def resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """Follow references, and go from a list to its items."""
    while True:
        if "$ref" in schema:
            schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        elif {"items", "total"} <= schema.get("properties", {}).keys():
            schema = schema["properties"]["items"]["items"]
        else:
            return schema


@pytest.mark.parametrize("name", sorted(CALLS))
def test_a_call_is_offered(document: dict[str, Any], name: str) -> None:
    call: Call = CALLS[name]
    operation = document["paths"][call.path][call.method.lower()]
    known = {one["name"] for one in operation.get("parameters", []) if one["in"] == "query"}
    assert set(call.query) <= known
    sent = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    taken = set(resolved(document, sent).get("properties", {}))
    what_to_do = "add it to plugins/module_utils/calls.py and to the module, or to NOT_OFFERED with the reason"
    assert set(call.sends) == taken - NOT_OFFERED.get(name, set()), what_to_do
    answer = next(answer for status, answer in operation["responses"].items() if status.startswith("2"))
    if name not in TEXT:
        told = resolved(document, answer["content"]["application/json"]["schema"])["properties"]
        assert set(call.reads) <= set(told)


def test_the_module_knows_what_may_be_chosen(document: dict[str, Any]) -> None:
    spec = _literal(PLUGINS / "module_utils" / "terms.py", "TERMS")
    order = document["paths"]["/api/patches"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    offered = resolved(document, order)["properties"]
    for name, option in spec.items():
        chosen = offered.get(name, {}).get("enum")
        assert set(option.get("choices", [])) == set(chosen or []), name


def test_plugins_ask_by_the_catalogue_only() -> None:
    for file in PLUGINS.rglob("*.py"):
        if file.stem not in {"calls", "control_plane"}:
            assert '"/api/' not in file.read_text(), file


def test_what_modules_look_at_is_in_the_catalogue() -> None:
    known = {name for call in CALLS.values() for name in (*call.reads, *call.sends)}
    asking = [
        file for file in (PLUGINS / "modules").glob("*.py") if "module_utils.arguments import" in file.read_text()
    ]
    looked = {(file.name, name) for file in asking for name in _subscripts(file)}
    assert looked
    assert {use for use in looked if use[1] not in known} == set()


def _subscripts(file: Path) -> Iterator[str]:
    """Yield what is looked up in things that are not options, bodies or results of the module itself."""
    for node in ast.walk(ast.parse(file.read_text())):
        if (
            isinstance(node, ast.Subscript)
            and isinstance(node.slice, ast.Constant)
            and isinstance(node.slice.value, str)
            and isinstance(node.value, ast.Name)
            and node.value.id not in {"options", "body", "result", "found"}
        ):
            yield node.slice.value


def _literal(file: Path, name: str) -> dict[str, dict[str, Any]]:
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == name:
            assert isinstance(node.value, ast.Dict)
            keys = [key.value for key in node.value.keys if isinstance(key, ast.Constant)]
            plain = [_without_names(value) for value in node.value.values]
            return dict(zip(map(str, keys), plain, strict=True))
    raise AssertionError(f"{file.name} has no {name}")


def _without_names(value: ast.expr) -> dict[str, Any]:
    assert isinstance(value, ast.Dict)
    pairs = zip(value.keys, value.values, strict=True)
    return {ast.literal_eval(key): ast.literal_eval(one) for key, one in pairs if key and not isinstance(one, ast.Name)}
