"""Pages of the API: one for each folder of the five packages, which mkdocstrings fills from the docstrings."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

PACKAGES = ("robotkit", "servers", "sims", "envs", "rl")
_FOLDER = "reference/api"


def pages(root: Path) -> dict[str, str]:
    """Markdown by path."""
    rooms = {path_of(room): _room_page(name, room) for name, room in _rooms(root)}
    return {f"{_FOLDER}/index.md": _index(root), **rooms}


def navigation(root: Path) -> list[Any]:
    """The pages in the form of `nav` in mkdocs.yml: a section for each package."""
    sections: dict[str, list[Any]] = {package: [] for package in PACKAGES}
    for name, room in _rooms(root):
        sections[name.partition(".")[0]].append({name: path_of(room)})
    return [f"{_FOLDER}/index.md", *({package: entries} for package, entries in sections.items())]


def path_of(room: Path) -> str:
    """The page of a folder that is given relative to the repository."""
    return f"{_FOLDER}/{'.'.join(room.parts)}.md"


def _rooms(root: Path) -> Iterator[tuple[str, Path]]:
    """Dotted name and relative path of every folder with modules, packages in the order of `PACKAGES`."""
    for package in PACKAGES:
        for file in sorted((root / package).rglob("__init__.py")):
            room = file.parent.relative_to(root)
            yield ".".join(room.parts), room


def _room_page(name: str, room: Path) -> str:
    names = sorted(file.stem for file in room.glob("*.py") if file.stem not in ("__init__", "__main__"))
    package = importlib.import_module(name)
    parts = [f"# {name}", inspect.cleandoc(package.__doc__ or ""), _surface(package)]
    parts += [f"::: {name}.{module}" for module in names]
    return "\n\n".join(part for part in parts if part) + "\n"


def _surface(package: ModuleType) -> str:
    """A table of what the package itself hands out, with where each thing is documented."""
    rows = []
    for name in getattr(package, "__all__", ()):
        thing = getattr(package, name)
        if isinstance(thing, ModuleType) or not (inspect.isclass(thing) or inspect.isfunction(thing)):
            continue
        if not thing.__module__.startswith(PACKAGES) or thing.__module__ == package.__name__:
            continue
        target = f"{thing.__module__}.{thing.__qualname__}"
        rows.append(f"| [`{name}`][{target}] | {_first_sentence(thing)} |")
    if not rows:
        return ""
    return "\n".join([f"From `{package.__name__}` itself:", "", "| name | about |", "|---|---|", *rows])


def _first_sentence(thing: Any) -> str:
    paragraph = inspect.cleandoc(thing.__doc__ or "").partition("\n\n")[0]
    return " ".join(paragraph.split()).replace("|", r"\|")


def _index(root: Path) -> str:
    rows = []
    for name, room in _rooms(root):
        sentence = _first_sentence(importlib.import_module(name))
        rows.append(f"| [`{name}`]({path_of(room).removeprefix(_FOLDER + '/')}) | {sentence} |")
    lead = (
        "Made from the docstrings. `import robotkit` has the names that a driver, a script or a notebook needs; every "
        "other name is imported from the module that it is documented under."
    )
    return "\n".join(["# Python API", "", lead, "", "| package | about |", "|---|---|", *rows]) + "\n"
