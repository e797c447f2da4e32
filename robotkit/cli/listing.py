"""`robotkit list`: plugins and cells, with their options."""

from __future__ import annotations

import dataclasses
import difflib
import inspect
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from robotkit.cells import find_workcell, is_file, is_url, load_workcell_config, workcell_names
from robotkit.cli.cell_argument import open_cell, require_cell
from robotkit.cli.option_rows import Option, first_sentence, options_of, unit_of, values_of
from robotkit.cli.tables import make_table
from robotkit.errors import ConfigurationError, UnknownPlugin
from robotkit.factory import plugins_of
from robotkit.registry import ALL, Registry
from robotkit.schema import WorkcellConfig

_CELL = "workcell"


@dataclass(frozen=True)
class Entry:
    """A plugin or a cell, as `--json` prints it."""

    kind: str
    """"robot", "gripper", …, or "workcell"."""
    name: str
    about: str = ""
    error: str | None = None
    """Why it cannot be loaded, and how to get it."""
    options: tuple[Option, ...] = ()


def print_names(as_json: bool) -> int:
    """Print the names of each kind, for which nothing is loaded; `robotkit list all --json` has the options too."""
    named = {registry.kind: registry.names() for registry in ALL} | {_CELL: workcell_names()}
    if as_json:
        entries = [{"kind": kind, "name": name} for kind, names in named.items() for name in names]
        print(json.dumps(entries, indent=1))  # noqa: T201
        return 0
    table = Table.grid(padding=(0, 2))
    for kind, names in named.items():
        table.add_row(Text(f"{kind}s", style="bold"), Text(", ".join(names)))
    console = Console()
    console.print(table)
    console.print("`robotkit list NAME …` shows options; `robotkit list all` those of every plugin")
    return 0


def print_entries(words: Sequence[str], token: str | None, as_json: bool) -> int:
    """Print the plugins and the cells that are named, each once.

    Raises:
        UnknownPlugin: nothing has that name.
    """
    found = [entry for word in words for entry in entries_of(word, token)]
    entries = list({(entry.kind, entry.name, entry.about): entry for entry in found}.values())
    if as_json:
        _print_json(entries)
        return 0
    console = Console()
    for entry in entries:
        console.print(entry_table(entry))
    return 0


def entries_of(word: str, token: str | None) -> list[Entry]:
    """Entries that one word names: a plugin in each kind that has it, a kind, every plugin, or a cell.

    Raises:
        UnknownPlugin: nothing has that name; the message suggests the nearest.
    """
    entries = [
        plugin_entry(registry, name)
        for registry in ALL
        for name in registry.names()
        if word in ("all", f"{registry.kind}s", name)
    ]
    if is_file(word) or is_url(word) or word in workcell_names():
        entries.append(cell_entry(word, token))
    if not entries:
        known = {"all", *workcell_names()}
        for registry in ALL:
            known |= {f"{registry.kind}s", *registry.names()}
        near = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.5)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise UnknownPlugin(f"no plugin and no workcell is named {word!r}.{hint} `robotkit list` shows the names")
    return entries


def plugin_entry(registry: Registry[Any], name: str) -> Entry:
    """A plugin; one that cannot be loaded says how to get it."""
    try:
        plugin = registry.get(name)
    except ConfigurationError as error:
        return Entry(registry.kind, name, "", error.message)
    return Entry(registry.kind, name, first_sentence(plugin.__doc__), None, tuple(options_of(plugin.Config)))


def cell_entry(cell: str, token: str | None) -> Entry:
    """A cell, with the value of every option of every device in it; a builder of its own with its arguments.

    Raises:
        ConfigurationError: it cannot be built.
        RemoteError: the server cannot be used.
    """
    require_cell(cell)
    if is_url(cell):
        spec = open_cell(cell, token).spec()
        return Entry(_CELL, spec.name, f"Served at {cell}.", None, tuple(values_of(spec)))
    if is_file(cell):
        config = load_workcell_config(Path(cell))
        return Entry(_CELL, config.name, f"Read from {cell}.", None, tuple(_config_options(config)))
    builder = find_workcell(cell)
    about, arguments = first_sentence(builder.__doc__), inspect.signature(builder).parameters
    if any(argument.default is argument.empty for argument in arguments.values()):
        return Entry(_CELL, cell, about, None, tuple(_argument_options(arguments)))
    built = builder()
    options = _config_options(built) if isinstance(built, WorkcellConfig) else values_of(built.spec())
    return Entry(_CELL, cell, about, None, tuple(options))


def entry_table(entry: Entry) -> Table:
    """One row for each option of one plugin or cell."""
    value = "value" if entry.kind == _CELL else "default"
    title = Text(f"{entry.kind} {entry.name}: {entry.error or entry.about}")
    table = make_table("option", "type", value, "unit", "about", title=title)
    for option in entry.options:
        table.add_row(*map(Text, (option.name, option.type, option.default_text, option.unit, option.about)))
    return table


def _config_options(config: WorkcellConfig) -> Iterator[Option]:
    """Name and clock, then each plugin of a cell with its options, then the limits."""
    yield Option("name", "str", config.name, "", "")
    yield Option("clock", "str", config.clock, "", "Time passes by itself (real), or only on request (lockstep).")
    for section, registry, ref in plugins_of(config):
        yield Option(f"{section}.type", registry.kind, ref.type, "", f"robotkit list {ref.type}")
        yield from values_of(registry.validate(ref.type, ref.options), f"{section}.")
    yield from values_of(config.limits, "limits.")


def _argument_options(arguments: Mapping[str, inspect.Parameter]) -> Iterator[Option]:
    for name, argument in arguments.items():
        is_required = argument.default is argument.empty
        default = None if is_required else argument.default
        yield Option(name, str(argument.annotation), default, unit_of(name), "", is_required)


def _print_json(entries: Sequence[Entry]) -> None:
    print(json.dumps([dataclasses.asdict(entry) for entry in entries], indent=1, allow_nan=False))  # noqa: T201
