"""`robotkit list`: every plugin of every kind, with its options."""

from __future__ import annotations

import ast
import inspect
import itertools
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from rich.console import Console
from rich.table import Table
from rich.text import Text

from robotkit.cells import workcell_names
from robotkit.errors import ConfigurationError
from robotkit.registry import ALL, Registry
from robotkit.schema import PluginConfig
from robotkit.schema.arrays import Array

_SIGNS = (("gt", ">"), ("ge", ">="), ("lt", "<"), ("le", "<="))


@dataclass(frozen=True)
class List:
    """Show every plugin with its options, and every named workcell."""

    def run(self) -> int:
        """Print the tables."""
        console = Console()
        for registry in ALL:
            console.print(plugin_table(registry))
        console.print(Text("workcells: ", style="bold") + Text(", ".join(workcell_names())))
        return 0


def plugin_table(registry: Registry) -> Table:
    """One row for each option of each plugin; a plugin that cannot be loaded says how to get it."""
    table = Table("name", "option", "type", "default", "about", title=f"{registry.kind}s", title_justify="left")
    for name in registry.names():
        try:
            plugin = registry.get(name)
        except ConfigurationError as error:
            table.add_row(Text(name, style="yellow"), "", "", "", Text(error.message, style="yellow"))
            continue
        table.add_row(Text(name, style="bold green"), "", "", "", Text(_first_sentence(plugin.__doc__)))
        for row in option_rows(plugin.Config):
            table.add_row("", *(Text(cell) for cell in row))
        table.add_section()
    return table


def option_rows(config: type[PluginConfig]) -> Iterator[tuple[str, str, str, str]]:
    """Name, type, default and description of each option."""
    docs = _field_docs(config)
    for name, info in config.model_fields.items():
        yield name, _type_text(info), _default_text(info), info.description or docs.get(name, "")


def _type_text(info: FieldInfo) -> str:
    annotation = info.annotation
    if isinstance(annotation, type) and not hasattr(annotation, "__args__"):
        text = annotation.__name__
    else:
        text = str(annotation).replace("typing.", "")
    shapes = [repr(item) for item in info.metadata if isinstance(item, Array)]
    text = shapes[0] if shapes else re.sub(r"Annotated\[numpy\.ndarray, (Array\([^)]*\))\]", r"\1", text)
    bounds = [f"{sign} {getattr(item, name)}" for item in info.metadata for name, sign in _SIGNS if hasattr(item, name)]
    return ", ".join([text, *bounds])


def _default_text(info: FieldInfo) -> str:
    if info.default is not PydanticUndefined:
        return repr(info.default)
    return "required" if info.default_factory is None else repr(info.get_default(call_default_factory=True))


def _first_sentence(doc: str | None) -> str:
    return inspect.cleandoc(doc or "").split("\n\n")[0].replace("\n", " ")


def _field_docs(config: type[PluginConfig]) -> dict[str, str]:
    """The strings under the fields of the class and its bases."""
    docs: dict[str, str] = {}
    for cls in reversed(config.__mro__):
        if cls.__module__.startswith("pydantic") or not issubclass(cls, PluginConfig):
            continue
        docs |= attribute_docs(cls)
    return docs


def attribute_docs(cls: type) -> dict[str, str]:
    """Docstrings of attributes, which Python itself forgets: read from the source of the class."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    except (OSError, TypeError):  # a class that was made at run time has no source
        return {}
    body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
    return {
        field.target.id: inspect.cleandoc(text.value.value)
        for field, text in itertools.pairwise(body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }
