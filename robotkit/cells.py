"""Names of cells: a registered name, a workcell file, or the URL of a robot server; and the configuration of each."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from robotkit.by_name import no_such
from robotkit.entries import Entry, load_entry
from robotkit.errors import InvalidConfiguration, UnknownPlugin
from robotkit.schema import WorkcellConfig
from robotkit.validation import describe
from robotkit.workcell import Workcell

WorkcellBuilder = Callable[..., WorkcellConfig | Workcell]
_BUILTIN_CELLS = {"fake": "robotkit.drivers.fake:workcell_config", "remote": "robotkit.remote:remote_workcell"}


def is_url(cell: object) -> bool:
    """True for the address of a robot server."""
    return isinstance(cell, str) and cell.startswith(("http://", "https://"))


def is_file(cell: str | Path) -> bool:
    """True for the path of a workcell file."""
    return isinstance(cell, Path) or (cell.endswith(".toml") and not is_url(cell))


def workcell_names() -> list[str]:
    """Every registered workcell."""
    return sorted({*_BUILTIN_CELLS, *(point.name for point in entry_points(group="robotkit.workcells"))})


def find_workcell(name: str) -> WorkcellBuilder:
    """The builder registered under `name`, imported.

    Raises:
        UnknownPlugin: there is none; the message suggests the nearest.
        MissingExtra: a package that it needs is not installed.
        InvalidConfiguration: it cannot be imported, or is not in its module.
    """
    points = (point for point in entry_points(group="robotkit.workcells") if point.name == name)
    entry: Entry | None = _BUILTIN_CELLS.get(name) or next(points, None)
    if entry is not None:
        builder: WorkcellBuilder = load_entry("workcell", name, entry)
        if not callable(builder):
            raise InvalidConfiguration(
                f"workcell {name!r} is registered as {builder!r}; name a function that returns a WorkcellConfig or a "
                "Workcell"
            )
        return builder
    names = workcell_names()
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise UnknownPlugin(
        f"no workcell is named {name!r}.{hint} Known: {', '.join(names)}; or give the path of a .toml file or the "
        "URL of a robot server (http://host:port)"
    )


def load_workcell_config(path: Path) -> WorkcellConfig:
    """Read and check a workcell file.

    A file with `base = "mujoco-pick-cube"` is a variant of a registered cell: everything else in it replaces single
    values of that cell, in the same places as in a whole file.

    Raises:
        InvalidConfiguration: the file is missing, is not TOML, or does not validate.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidConfiguration(f"cannot read the workcell file {path}: {error.strerror}") from error
    try:
        content = tomllib.loads(text)
        return _variant(content) if "base" in content else WorkcellConfig.model_validate(content)
    except tomllib.TOMLDecodeError as error:
        raise InvalidConfiguration(f"{path} is not valid TOML: {error}") from error
    except ValidationError as error:
        raise InvalidConfiguration(f"{path}: {describe(error, WorkcellConfig, text)}") from error


def override(config: WorkcellConfig, overrides: Mapping[str, Any]) -> WorkcellConfig:
    """`config` with single values replaced; keys are dotted, and a plugin's options need no `options` in between.

    Raises:
        InvalidConfiguration: the result does not validate.
    """
    if not overrides:
        return config
    content = config.model_dump(exclude_unset=True)
    for key, value in overrides.items():
        node = content
        *parents, last = key.split(".")
        for parent in parents:
            node = node.setdefault(parent, {})
            if "type" in node and "options" in node and last != "type":
                node = node["options"]
        node[last] = value
    _require_types(config.name, content, list(overrides))
    try:
        return WorkcellConfig.model_validate(content)
    except ValidationError as error:
        raise InvalidConfiguration(
            f"cell {config.name!r} with {', '.join(overrides)} overridden: {describe(error, WorkcellConfig)}"
        ) from error


def _require_types(cell: str, content: Mapping[str, Any], overrides: Sequence[str]) -> None:
    """Refuse options of a device that the cell does not have."""
    for group, what in (("cameras", "camera"), ("trackers", "tracker")):
        devices = content.get(group) or {}
        for name in devices:
            if isinstance(devices[name], dict) and "type" not in devices[name]:
                there = [other for other in devices if "type" in (devices[other] or ())]
                raise InvalidConfiguration(
                    f"cell {cell!r} with {', '.join(overrides)} overridden: {no_such(what, name, there)}; a new one "
                    f"needs {group}.{name}.type"
                )


def _variant(content: dict[str, Any]) -> WorkcellConfig:
    """The cell that `base` names, with the rest of the file replaced in it."""
    base = content.pop("base")
    built = find_workcell(base)() if base != "remote" else None
    if not isinstance(built, WorkcellConfig):
        raise InvalidConfiguration(f'base = "{base}": only a cell that is built from a configuration can be varied')
    return override(built, dict(_dotted(content)))


def _dotted(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _dotted(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value
