"""Folders of leaves and the explicit tuple that must name each of them."""

import ast
from dataclasses import dataclass
from pathlib import Path

from tests.house.tree import PACKAGE


@dataclass(frozen=True)
class Listing:
    """A folder, where its tuple may stand, what it is called, and which leaves need no place in it."""

    folder: str
    tuple_name: str
    #: Looked through in this order.
    homes: tuple[str, ...]
    #: Only modules with this name at their top level are leaves; empty means all are.
    leaf_mark: str = ""
    not_leaves: frozenset[str] = frozenset()


LISTINGS = (
    Listing("agent/operations", "OPERATIONS", ("agent/operations/__init__.py", "agent/worker.py", "agent/app.py")),
    Listing("agent/collectors", "COLLECTORS", ("agent/collectors/__init__.py", "agent/scheduler.py", "agent/app.py")),
    Listing("control/api", "ROUTERS", ("control/api/__init__.py", "control/app.py"), leaf_mark="router"),
)


def leaves(listing: Listing, package: Path = PACKAGE) -> set[str]:
    """Return the names of the folder's leaf modules."""
    files = [path for path in (package / listing.folder).glob("*.py") if not path.stem.startswith("_")]
    homes = {package / home for home in listing.homes}
    return {
        path.stem
        for path in files
        if path not in homes and path.stem not in listing.not_leaves and _is_leaf(path, listing.leaf_mark)
    }


def _is_leaf(path: Path, mark: str) -> bool:
    return not mark or any(mark in names for names, _ in _assignments(ast.parse(path.read_text())))


def listed(listing: Listing, package: Path = PACKAGE) -> set[str] | None:
    """Return the leaf modules that the tuple names, or None while there is no tuple."""
    for home in listing.homes:
        file = package / home
        tree = ast.parse(file.read_text()) if file.exists() else ast.Module([], [])
        for names, value in _assignments(tree):
            if listing.tuple_name in names and isinstance(value, ast.Tuple):
                origin = _imports(tree)
                return {origin.get(root, root) for item in value.elts for root in _roots(item)}
    return None


def _assignments(tree: ast.Module) -> list[tuple[set[str], ast.expr | None]]:
    found: list[tuple[set[str], ast.expr | None]] = []
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.append(({node.target.id}, node.value))
        elif isinstance(node, ast.Assign):
            found.append(({target.id for target in node.targets if isinstance(target, ast.Name)}, node.value))
    return found


def _imports(tree: ast.Module) -> dict[str, str]:
    """Map each imported name to the last part of the module it stands for or comes from."""
    origin: dict[str, str] = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                is_module = (PACKAGE.parent / node.module.replace(".", "/") / f"{alias.name}.py").exists()
                origin[alias.asname or alias.name] = alias.name if is_module else node.module.rpartition(".")[2]
    return origin


def _roots(item: ast.expr) -> list[str]:
    return [node.id for node in ast.walk(item) if isinstance(node, ast.Name)]
