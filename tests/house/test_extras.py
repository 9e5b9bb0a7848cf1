"""What is installed with an extra is enough for the process it is for: no import comes from another's extra."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: Import name of a distribution, where they differ.
IMPORTED_AS = {
    "argon2-cffi": "argon2",
    "prometheus-client": "prometheus_client",
    "pyjwt": "jwt",
    "python-multipart": "python_multipart",
    "annotated-types": "annotated_types",
}
#: Distributions that come with another and are part of what it offers.
BROUGHT = {"fastapi": {"starlette"}, "pydantic": {"pydantic_core"}}
#: Files, or functions in them, that are used only where another library is, too.
LOADED_BY = {
    "nanny_ops/lab/pytest_plugin.py": "pytest",
    # Imported where a playbook is run or looked at, which needs the extra "ansible".
    "nanny_ops/control/playbooks/runner.py": "ansible_runner",
    "nanny_ops/control/playbooks/catalogue.py": "yaml",
}
#: Which files each extra must be enough for.
ENOUGH_FOR = {
    "agent": ["agent", "helper", "machine", "protocol", "errors", "cli/node.py"],
    "control": ["control", "protocol", "errors"],
    "lab": ["lab"],
    "cli": [
        f"cli/{name}.py"
        for name in (
            *("operator", "client", "patch", "agent", "script", "signing_key"),
            *("offline_key", "login", "table", "watch"),
        )
    ],
}


@pytest.mark.parametrize("extra", sorted(ENOUGH_FOR))
def test_an_extra_is_enough_for_its_process(extra: str) -> None:
    allowed = offered(extra) | set(sys.stdlib_module_names) | {"nanny_ops"}
    wanted = {(name, str(file.relative_to(ROOT))) for file in files(extra) for name in imports(file)}
    assert {use for use in wanted if use[0] not in allowed and LOADED_BY.get(use[1]) != use[0]} == set()


@pytest.mark.parametrize("extra", sorted(ENOUGH_FOR))
def test_an_extra_brings_nothing_that_is_not_used(extra: str) -> None:
    used = {name for file in files(extra) for name in imports(file)}
    # Loaded by name, by the library that is imported: a driver, a server's loop and parser, a form parser, templates.
    by_name = {"psycopg", "uvloop", "httptools", "python_multipart", "uvicorn", "requests"}
    assert offered(extra, deep=False) - used - by_name == set()


def files(extra: str) -> Iterator[Path]:
    for part in ENOUGH_FOR[extra]:
        path = ROOT / "nanny_ops" / part
        yield from [path] if path.is_file() else path.rglob("*.py")


def imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0]


def offered(extra: str, *, deep: bool = True) -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["optional-dependencies"][extra] + (project["dependencies"] if deep else [])
    wanted += [
        line
        for part in re.findall(r"nanny-ops\[(.*)\]", wanted[0])
        for name in part.split(",")
        for line in project["optional-dependencies"][name]
        if deep
    ]
    names = {re.split(r"[\[<>=; ]", line, maxsplit=1)[0] for line in wanted}
    brought = set().union(*(BROUGHT.get(name, set()) for name in names)) if deep else set()
    names.discard("nanny-ops")
    return {IMPORTED_AS.get(name, name.replace("-", "_")) for name in names} | brought
