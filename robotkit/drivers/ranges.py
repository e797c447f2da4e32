"""Bounds of options that are arrays: the largest distance of an object from the frame in which it is given."""

from __future__ import annotations

import numpy as np
from pydantic import AfterValidator

LAB_M = 10.0
"""Largest distance of a camera or an object from the arm's base."""
TOOL_M = 0.5
"""Largest distance from the flange of anything that is mounted on it."""
WIDTH_MAX_M = 0.3
"""Largest opening of two fingers."""


def within(distance_max_m: float) -> AfterValidator:
    """An annotation for a pose (7,) or a position (3,): at most this far from the origin of its frame."""

    def require_near(value: np.ndarray) -> np.ndarray:
        distance_m = float(np.linalg.norm(value[:3]))
        if distance_m > distance_max_m:
            raise ValueError(
                f"it lies {distance_m:g} m from its frame's origin, and {distance_max_m:g} m are allowed; "
                "positions are in metres"
            )
        return value

    return AfterValidator(require_near)
