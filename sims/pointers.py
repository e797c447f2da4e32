"""Arrays over memory that MuJoCo owns, for compiled code that gets addresses as plain integers."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from sims.controllers.compiled import compiled


@intrinsic  # type: ignore[untyped-decorator]
def pointer(context: Any, address: Any) -> Any:
    """An integer as the pointer that `numba.carray` takes."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(address), generate


@compiled
def numbers_at(address: int, count: int) -> np.ndarray:
    """View `count` float64 numbers at `address`."""
    numbers: np.ndarray = numba.carray(pointer(address), (count,), np.float64)
    return numbers


@compiled
def integers_at(address: int, count: int) -> np.ndarray:
    """View `count` int32 numbers at `address`."""
    integers: np.ndarray = numba.carray(pointer(address), (count,), np.int32)
    return integers
