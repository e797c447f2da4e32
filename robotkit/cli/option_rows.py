"""`Option`: one option of a plugin or of a cell, read from its pydantic model."""

from __future__ import annotations

import ast
import inspect
import itertools
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from robotkit.schema import Message
from robotkit.schema.arrays import Array
from robotkit.schema.kinematics import KinematicChain

_SIGNS = (("gt", ">"), ("ge", ">="), ("lt", "<"), ("le", "<="))
_UNITS = {
    "nms_rad": "Nm s/rad", "nm_rad": "Nm/rad", "ns_m": "N s/m", "kg_m2": "kg m^2", "rad_s": "rad/s", "m_s": "m/s",
    "n_m": "N/m", "px": "px", "hz": "Hz", "kg": "kg", "nm": "Nm", "rad": "rad", "m": "m", "n": "N", "s": "s",
}  # fmt: skip
"""Unit by the end of a field's name, longest first."""


@dataclass(frozen=True)
class Option:
    """One option."""

    name: str
    """The option's name, dotted, as in a workcell file."""
    type: str
    """The option's type, with its bounds."""
    default: Any
    """The default as JSON; for a cell, the value that it has there. None also where there is none."""
    unit: str
    """The option's unit; empty where it has none."""
    about: str
    is_required: bool = False

    @property
    def default_text(self) -> str:
        """The default for a person."""
        return "required" if self.is_required else repr(self.default)


def options_of(config: type[Message], prefix: str = "") -> Iterator[Option]:
    """Every option of a model; those of a model inside it follow, with dotted names."""
    docs = field_docs(config)
    for name, info in config.model_fields.items():
        default = info.get_default(call_default_factory=True)
        if isinstance(default, Message):
            yield from values_of(default, f"{prefix}{name}.")
            continue
        yield _option(prefix, name, info, docs, _as_json(default), info.is_required())
        inner = _model_in(info.annotation)
        if inner is not None:
            yield from options_of(inner, f"{prefix}{name}.")


def values_of(message: Message, prefix: str = "") -> Iterator[Option]:
    """The options of an existing message, with its values instead of the defaults."""
    docs = field_docs(type(message))
    for name, info in type(message).model_fields.items():
        value = getattr(message, name)
        named = value if isinstance(value, dict) else {}
        if isinstance(value, Message) and not isinstance(value, KinematicChain):
            yield from values_of(value, f"{prefix}{name}.")
        elif named and all(isinstance(inner, Message) for inner in named.values()):
            for key, inner in named.items():
                yield from values_of(inner, f"{prefix}{name}.{key}.")
        else:
            yield _option(prefix, name, info, docs, _as_json(value), False)


def unit_of(name: str) -> str:
    """The unit that the end of a field's name tells; empty for a number without one."""
    return next((unit for end, unit in _UNITS.items() if name.endswith(f"_{end}")), "")


def field_docs(config: type[Message]) -> dict[str, str]:
    """The strings under the fields of the class and its bases."""
    docs: dict[str, str] = {}
    for cls in reversed(config.__mro__):
        if issubclass(cls, Message):
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


def first_sentence(doc: str | None) -> str:
    """Return the first paragraph of a docstring, in one line."""
    return inspect.cleandoc(doc or "").split("\n\n")[0].replace("\n", " ")


def _option(prefix: str, name: str, info: FieldInfo, docs: dict[str, str], default: Any, is_required: bool) -> Option:
    inner = _model_in(info.annotation)
    about = info.description or docs.get(name) or ("" if inner is None else first_sentence(inner.__doc__))
    return Option(prefix + name, _type_text(info), default, unit_of(name), about, is_required)


def _model_in(annotation: Any) -> type[Message] | None:
    """The model of a field that holds one, or may hold one."""
    found = [
        item for item in (annotation, *get_args(annotation)) if isinstance(item, type) and issubclass(item, Message)
    ]
    return found[0] if found else None


def _type_text(info: FieldInfo) -> str:
    annotation = info.annotation
    if isinstance(annotation, type) and not hasattr(annotation, "__args__"):
        text = annotation.__name__
    else:
        text = str(annotation).replace("typing.", "")
    shapes = [repr(item) for item in info.metadata if isinstance(item, Array)]
    text = shapes[0] if shapes else re.sub(r"Annotated\[numpy\.ndarray, (Array\([^)]*\))[^\]]*\]", r"\1", text)
    text = re.sub(r"\b(?:\w+\.)+([A-Z]\w*)", r"\1", text)
    bounds = [f"{sign} {getattr(item, name)}" for item in info.metadata for name, sign in _SIGNS if hasattr(item, name)]
    return ", ".join([text, *bounds])


def _as_json(value: Any) -> Any:
    if value is PydanticUndefined:
        return None
    if isinstance(value, KinematicChain):
        return f"{value.joint_count} joints"
    if isinstance(value, Message):
        return value.model_dump(mode="json")
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [_as_json(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _as_json(item) for key, item in value.items()}
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
