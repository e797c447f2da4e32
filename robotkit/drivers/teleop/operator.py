"""The conversion of a deflection in the operator's frame to a reading in the robot's base frame."""

from __future__ import annotations

import math

import numpy as np
from pydantic import Field, field_validator

from robotkit import spatial
from robotkit.schema import PluginConfig, TeleopReading


class OperatorConfig(PluginConfig):
    """Options of every device that a human steers with."""

    forward_yaw_rad: float = math.pi
    """Where the operator looks, turned about the base's z: pi faces the robot (SERL), 0 looks the robot's way."""
    deadband: float = Field(0.03, ge=0.0, lt=1.0)
    """Smaller deflections count as none."""

    @field_validator("forward_yaw_rad")
    @classmethod
    def _is_an_angle_in_radians(cls, value: float) -> float:
        if abs(value) > math.tau:
            raise ValueError(
                f"it is an angle in radians from -2 pi to 2 pi, not {value:g}; {value:g} degrees would be "
                f"{math.radians(value):.4f}"
            )
        return value


def reading(config: OperatorConfig, stamp_s: float, deflection: np.ndarray, buttons: tuple[bool, ...]) -> TeleopReading:
    """Turn a deflection into the base frame.

    Args:
        config: where the operator looks, and the deadband.
        stamp_s: when the hand did this.
        deflection: shape (6,), along and about the operator's forward, left and up, nominally in [-1, 1].
        buttons: which are pressed.
    """
    steered = np.where(np.abs(deflection) < config.deadband, 0.0, deflection)
    facing = spatial.quaternion_from_rotation_vector(np.array((0.0, 0.0, config.forward_yaw_rad)))
    # Rounding removes the 1e-17 that a turn by pi leaves on the other axis.
    twist = np.clip(np.round(spatial.rotate_vec6(facing, steered), 12), -1.0, 1.0)
    return TeleopReading.unchecked(
        stamp_s=stamp_s, twist=twist, buttons=buttons, is_active=bool(twist.any() or any(buttons))
    )
