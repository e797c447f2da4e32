"""`Message`, the frozen pydantic model that every message is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, ValidationError
from pydantic_core import CoreSchema

from robotkit.errors import InvalidMessage
from robotkit.schema.numbers import strict_numbers
from robotkit.validation import describe

_SET = object.__setattr__


class Message(BaseModel):
    """A frozen, closed and finite message: no field can change, be unknown, be NaN or be infinite.

    A number is a number: a boolean, a text that reads like one, or an integer too large for a float is refused.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", arbitrary_types_allowed=True, allow_inf_nan=False, ser_json_inf_nan="constants"
    )

    def __init__(self, *positional: Any, **fields: Any) -> None:
        """Build and validate a message.

        Raises:
            InvalidMessage: a field is missing, unknown, or of another shape, type or range; it says which are right.
        """
        name = type(self).__name__
        if positional:
            names = ", ".join(f"{field}=…" for field in type(self).model_fields)
            raise InvalidMessage(f"{name} takes its fields by name: {name}({names})")
        try:
            super().__init__(**fields)
        except ValidationError as error:
            raise InvalidMessage(f"{name}: {describe(error, type(self))}") from error

    # What is nested in a message is built by its validator, and not by this constructor.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return strict_numbers(handler(source))

    @classmethod
    def unchecked(cls, **fields: Any) -> Self:
        """Build a message inside the border, from values of the right type, without validating them.

        Every field must be given. Drivers call it at their state rate: validation of a robot state costs tens of
        microseconds, this costs about one.
        """
        message = cls.__new__(cls)
        _SET(message, "__dict__", fields)
        _SET(message, "__pydantic_fields_set__", set(fields))
        _SET(message, "__pydantic_extra__", None)
        _SET(message, "__pydantic_private__", None)
        return message

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy; other than pydantic's, one with changed fields is validated like any message.

        Raises:
            InvalidMessage: the result is no valid message.
        """
        if not update:
            return super().model_copy(deep=deep)
        given = {name: self.__dict__[name] for name in self.model_fields_set}
        return type(self)(**{**given, **update})

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(_equal(value, other.__dict__[name]) for name, value in self.__dict__.items())

    def __hash__(self) -> int:
        return hash((type(self), self.model_dump_json()))


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return np.array_equal(a, b)
    return bool(a == b)
