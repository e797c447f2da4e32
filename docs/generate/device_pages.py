"""Pages of what a workcell file may say: its sections, and the options of every device."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

from robotkit.cells import workcell_names
from robotkit.cli.option_rows import options_of
from robotkit.errors import ConfigurationError
from robotkit.registry import ALL, Registry
from robotkit.schema import ComplianceLimits, Plane, SafetyLimits, WorkcellConfig, WorkspaceBox
from robotkit.schema.message import Message

_SECTIONS: dict[str, type[Message]] = {
    "Top level": WorkcellConfig,
    "[limits]": SafetyLimits,
    "[limits.workspace]": WorkspaceBox,
    "[[limits.planes]]": Plane,
    "[limits.compliance]": ComplianceLimits,
}
_HEADER = ["| option | type | unit | default | about |", "|---|---|---|---|---|"]
_LEAD = """A cell is one TOML file. `[robot]`, `[gripper]`, `[world]`, `[cameras.NAME]` and `[trackers.NAME]` each
have a `type`, which is the name of a device below; every other key of the section is an option of that device. A file
with `base = "NAME"` starts from a registered cell and changes what it says. [Safety](../safety.md) explains the limits;
`examples/cells/` holds complete files."""


def pages() -> dict[str, str]:
    """Markdown by path."""
    lines = ["# Workcell file and devices", "", _LEAD, ""]
    lines += [f"Registered cells: {', '.join(f'`{name}`' for name in workcell_names())}.", ""]
    for section, message in _SECTIONS.items():
        lines += [f"## {section}", "", _paragraphs(message.__doc__), "", *_HEADER, *_rows(message, is_section=True), ""]
    for registry in ALL:
        lines += [f"## {registry.kind.capitalize()}s", "", *_devices(registry)]
    return {"reference/workcell_file.md": "\n".join(lines) + "\n"}


def _devices(registry: Registry) -> Iterator[str]:
    for name in registry.names():
        yield f"### {registry.kind} `{name}`"
        yield ""
        try:
            plugin = registry.get(name)
        except ConfigurationError as error:
            yield error.message
            yield ""
            continue
        yield _paragraphs(plugin.__doc__)
        yield ""
        rows = list(_rows(plugin.Config))
        yield from [*_HEADER, *rows, ""] if rows else ["It has no options.", ""]


def _rows(message: type[Message], *, is_section: bool = False) -> Iterator[str]:
    """The options; those of a section inside a section stand in its own table."""
    for option in options_of(message):
        if is_section and "." in option.name:
            continue
        default = "required" if option.is_required else f"`{_cell(option.default_text)}`"
        yield f"| `{option.name}` | {_cell(option.type)} | {option.unit} | {default} | {_cell(option.about)} |"


def _paragraphs(text: str | None) -> str:
    return inspect.cleandoc(text or "")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "&#124;")
