"""The house keeps its shape: short modules and functions, names that say something, a test for each module."""

import ast
import statistics

import pytest

from tests.house.tree import PACKAGE, ROOT, Module, modules

LONGEST_MODULE = 400
LONGEST_FUNCTION = 60
#: Lines that 95 of 100 functions keep to.
USUAL_FUNCTION = 40
#: Names that say nothing about what is inside.
EMPTY_NAMES = frozenset({"utils", "util", "helpers", "manager", "managers", "common", "misc"})

MODULES = modules()


@pytest.fixture(scope="module")
def stems() -> list[str]:
    """The stems of all test files."""
    return [path.stem for path in (ROOT / "tests").rglob("test_*.py")]


def test_no_module_is_too_long() -> None:
    long = {m.name: lines for m in MODULES if (lines := len(m.text.splitlines())) > LONGEST_MODULE}
    assert not long, f"find the noun that wants its own file: {long}"


def test_functions_are_short() -> None:
    lengths = {f"{m.name}:{f.lineno} {f.name}": _lines(f) for m in MODULES for f in m.functions()}
    long = {name: lines for name, lines in lengths.items() if lines > LONGEST_FUNCTION}
    assert not long
    if len(lengths) >= 100:
        assert statistics.quantiles(lengths.values(), n=20)[-1] <= USUAL_FUNCTION


def _lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


def test_names_say_something() -> None:
    empty = [m.name for m in MODULES if EMPTY_NAMES & set(m.name.split("."))]
    assert not empty


@pytest.mark.parametrize("module", [m for m in MODULES if m.path.stem != "__init__"], ids=lambda m: m.name)
def test_every_module_has_a_test_of_its_name(module: Module, stems: list[str]) -> None:
    stem = module.path.stem.strip("_")
    assert any(stem in name for name in stems), f"no tests/**/test_*{stem}*.py for {module.name}"


@pytest.mark.parametrize("module", MODULES, ids=lambda m: m.name)
def test_everything_public_says_what_it_is(module: Module) -> None:
    silent = [name for name, node in module.public() if not ast.get_docstring(node)]
    assert ast.get_docstring(module.tree), f"{module.name} has no docstring"
    assert not silent, "no docstring"


def test_no_package_hides_ansible() -> None:
    # What ansible-test leaves in tests/output are environments of its own, which nobody imports.
    found = [path for path in (ROOT / "ansible").rglob("__init__.py") if "output" not in path.parts]
    assert not found, "an __init__.py there would hide the real package"


def test_the_package_says_that_it_is_typed() -> None:
    assert (PACKAGE / "py.typed").exists()


def test_the_top_level_is_as_agreed() -> None:
    agreed = {"nanny_ops", "ansible", "playbooks", "tests", "molecule", "docs", "benchmarks", "requirements"}
    agreed |= {"packaging", "release"}
    found = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")}
    assert found - agreed - {"build", "dist", "__pycache__"} == set()


def test_a_silent_function_would_be_found() -> None:
    module = Module(PACKAGE / "loud.py")
    module.__dict__["tree"] = ast.parse("class Loud:\n    'Say.'\n    def silent(self): ...\n    def _own(self): ...\n")
    assert [name for name, node in module.public() if not ast.get_docstring(node)] == ["nanny_ops.loud.Loud.silent"]
