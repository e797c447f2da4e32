"""What the source files of a tree import from each other, and which of these imports break the order of a house."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from pathlib import Path

Graph = Mapping[str, frozenset[str]]
"""The modules that each module imports, by dotted name."""


def import_graph(root: Path, packages: Sequence[str]) -> Graph:
    """The imports of all files of the packages, also those inside functions and for the type checker."""
    files = [path for package in packages for path in sorted((root / package).rglob("*.py"))]
    return {name_of(root, path): frozenset(imported(root, path)) for path in files}


def name_of(root: Path, path: Path) -> str:
    """Dotted name of a file's module."""
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(root: Path, path: Path) -> list[str]:
    """Dotted names that a file imports; `from a import b` gives a.b when that is a module of the tree, else a."""
    found: list[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = _base(name_of(root, path), path.name == "__init__.py", node)
            modules = [f"{base}.{alias.name}" for alias in node.names]
            found += [module if _is_module(root, module) else base for module in modules]
    return found


def _base(importer: str, is_package: bool, node: ast.ImportFrom) -> str:
    """What `from` names, with the leading dots resolved."""
    if not node.level:
        return node.module or ""
    package = importer.split(".") if is_package else importer.split(".")[:-1]
    return ".".join([*package[: len(package) - node.level + 1], *filter(None, [node.module])])


def _is_module(root: Path, name: str) -> bool:
    path = root.joinpath(*name.split("."))
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def find_cycle(graph: Graph) -> list[str]:
    """Modules that import each other in a circle, the first one again at the end; none when there is no circle."""
    finished: set[str] = set()

    def walk(name: str, trail: list[str]) -> list[str]:
        if name in trail:
            return [*trail[trail.index(name) :], name]
        if name not in finished:
            for target in sorted(graph[name] & graph.keys()):
                if circle := walk(target, [*trail, name]):
                    return circle
            finished.add(name)
        return []

    return next(filter(None, (walk(name, []) for name in graph)), [])


def room_of(name: str) -> str:
    """The part of its package that a module belongs to: `rl.data.codec` to `data`, `rl` itself to none."""
    return name.split(".")[1] if "." in name else ""


def find_climbs(graph: Graph, package: str, floors: Sequence[Sequence[str]]) -> list[str]:
    """Imports between rooms of a package that do not go to a lower floor; floors are given from the lowest on.

    The package itself, from which users import, stands on all of them.
    """
    floor_of = {room: number for number, rooms in enumerate(floors) for room in rooms} | {"": len(floors)}
    inside = {name: targets for name, targets in graph.items() if name.partition(".")[0] == package}
    return [
        f"{name} imports {target}"
        for name, targets in inside.items()
        for target in sorted(targets & inside.keys())
        if room_of(target) != room_of(name) and floor_of[room_of(target)] >= floor_of[room_of(name)]
    ]
