"""Array fields: read-only float64 numpy arrays that validate shape and finiteness, and travel as JSON lists."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from robotkit.schema.numbers import SEQUENCES, require_numbers, shown

_LONGEST_AXIS = 64
"""Largest number of joints of an arm; without a bound a client decides how long its message is looked at."""


class Array:
    """Annotation for a float64 array field.

    Args:
        *shape: the required shape; None leaves that axis free.
        holds: what the numbers are, in their order, for errors.
        unit_quaternion: the last four entries are an xyzw quaternion, which is checked and normalised.
    """

    def __init__(self, *shape: int | None, holds: str = "", unit_quaternion: bool = False) -> None:
        self.shape = shape
        self.holds = holds
        self.unit_quaternion = unit_quaternion

    def __repr__(self) -> str:
        return f"Array{self._shape_text()}"

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.validate,
            serialization=core_schema.plain_serializer_function_ser_schema(np.ndarray.tolist, when_used="json"),
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        item: dict[str, Any] = {"type": "number"}
        for size in reversed(self.shape):
            item = {"type": "array", "items": item}
            if size is not None:
                item |= {"minItems": size, "maxItems": size}
        return item

    def validate(self, value: Any) -> np.ndarray:
        """Return `value` as a read-only float64 copy.

        Raises:
            ValueError: wrong shape, not numbers (a boolean and a text are none), not finite, or not a unit quaternion
                (off by more than 1e-3).
        """
        if isinstance(value, SEQUENCES) and len(value) > _LONGEST_AXIS:
            raise ValueError(f"{self._expected()}, got {len(value)} entries")
        try:
            require_numbers(value, len(self.shape))
            array = np.array(value, dtype=np.float64)
        except (TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"{self._expected()}, got {shown(value)}") from error
        if array.shape != self.shape and not self._fits(array.shape):
            raise ValueError(f"{self._expected()}, got shape {array.shape}")
        if not np.isfinite(array).all():
            raise ValueError(f"every number must be finite, got {array.tolist()}")
        if self.unit_quaternion:
            norm = math.hypot(*array[-4:].tolist())
            if abs(norm - 1.0) > 1e-3:
                raise ValueError(f"the quaternion (xyzw) must have length 1, got length {norm:.4g}")
            # Dividing again would change the last bit of what another process has normalised already.
            if abs(norm - 1.0) > 1e-12:
                array[-4:] /= norm
        array.flags.writeable = False
        return array

    def _fits(self, shape: tuple[int, ...]) -> bool:
        return len(shape) == len(self.shape) and all(
            want is None or want == got for want, got in zip(self.shape, shape, strict=True)
        )

    def _expected(self) -> str:
        holds = f" ({self.holds})" if self.holds else ""
        return f"expected numbers of shape {self._shape_text()}{holds}"

    def _shape_text(self) -> str:
        return "(" + ", ".join("n" if size is None else str(size) for size in self.shape) + ")"


def read_only(values: Sequence[float]) -> np.ndarray:
    """A read-only float64 array, for the default of a field."""
    array = np.array(values, dtype=np.float64)
    array.flags.writeable = False
    return array


Vec3 = Annotated[np.ndarray, Array(3, holds="x, y, z")]
Vec6 = Annotated[np.ndarray, Array(6, holds="linear x, y, z, then angular x, y, z")]
Pose = Annotated[np.ndarray, Array(7, holds="x, y, z in m, then a unit quaternion x, y, z, w", unit_quaternion=True)]
"""Position in metres (3), then a unit quaternion xyzw (4)."""
Quaternion = Annotated[np.ndarray, Array(4, holds="a unit quaternion x, y, z, w", unit_quaternion=True)]
"""A unit quaternion, xyzw."""
JointVector = Annotated[np.ndarray, Array(None, holds="one for each joint, from base to tip")]
"""One number per joint, from base to tip."""
Jacobian = Annotated[np.ndarray, Array(6, None, holds="linear x, y, z, then angular x, y, z; a column for each joint")]
"""Rows: linear velocity (3), angular velocity (3); a column per joint."""
