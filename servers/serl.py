"""SERL's units and names, turned into the project's own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from pydantic import field_validator

from robotkit.errors import InvalidCommand
from robotkit.schema import ComplianceParams, GripperSpec, GripperState, Message, Pose
from servers.errors import validated

_SCALARS: Mapping[str, str] = {
    "translational_stiffness": "translational_stiffness_n_m",
    "translational_damping": "translational_damping_ns_m",
    "translational_Ki": "translational_ki",
    "rotational_stiffness": "rotational_stiffness_nm",
    "rotational_damping": "rotational_damping_nms_rad",
    "rotational_Ki": "rotational_ki",
    "nullspace_stiffness": "nullspace_stiffness_nm_rad",
    "joint1_nullspace_stiffness": "joint1_nullspace_factor",
}
"""SERL's dynamic-reconfigure name (`compliance_param.cfg`) to ours."""


def _clip_entries() -> dict[str, tuple[str, int, float]]:
    """SERL writes both ends of a clip as positive numbers; "neg" names the lower end."""
    ends = (("clip_", "max", 1.0), ("clip_neg_", "min", -1.0))
    units = (("translational", "_m"), ("rotational", ""))
    return {
        f"{kind}_{prefix}{axis}": (f"{kind}_clip_{end}{unit}", index, sign)
        for kind, unit in units
        for prefix, end, sign in ends
        for index, axis in enumerate("xyz")
    }


_CLIPS = _clip_entries()

_ROBOTIQ_CLOSED = 255
_HAND_WIDTH_PER_COUNT_M = 1.0 / 2550.0
"""SERL's hand server reads a command of 255 as 0.1 m between the fingers."""
_SHORTEST_QUATERNION = math.sqrt(0.5)


class PoseRequest(Message):
    """Body of `/pose`.

    SERL's client interpolates quaternions in a straight line, whose middle is shorter than 1: those are normalised. One
    shorter than between orientations half a turn apart has changed its sign on the way and points anywhere.
    """

    arr: Pose

    @field_validator("arr", mode="before")
    @classmethod
    def _normalise(cls, arr: Any) -> Any:
        try:
            numbers = np.array(arr, dtype=np.float64)
        except (TypeError, ValueError):
            return arr
        length = np.linalg.norm(numbers[3:]) if numbers.shape == (7,) else 0.0
        return np.concatenate((numbers[:3], numbers[3:] / length)) if _SHORTEST_QUATERNION <= length < 1.0 else arr


class GripperRequest(Message):
    """Body of `/move_gripper`; numbers beyond 0 to 255 count as the nearest of them."""

    gripper_pos: float


def compliance_from_serl(present: ComplianceParams, changes: Mapping[str, float]) -> ComplianceParams:
    """`present` with SERL's named parameters changed.

    Raises:
        InvalidCommand: an unknown name, or a value out of range.
    """
    fields: dict[str, Any] = present.model_dump()
    for name, value in changes.items():
        if name in _SCALARS:
            fields[_SCALARS[name]] = value
        elif name in _CLIPS:
            field, index, sign = _CLIPS[name]
            fields[field] = np.where(np.arange(3) == index, sign * value, fields[field])
        else:
            raise InvalidCommand(f"unknown parameter {name!r}. Known: {', '.join([*_SCALARS, *_CLIPS])}")
    return validated(ComplianceParams, fields)


def gripper_to_serl(state: GripperState, convention: str) -> float:
    """Measured position: 0 open to 255 closed ("robotiq"), or the width in metres ("franka_hand")."""
    if convention == "franka_hand":
        return state.width_m
    return round((1.0 - state.position) * _ROBOTIQ_CLOSED)


def gripper_from_serl(gripper_pos: float, spec: GripperSpec, convention: str) -> float:
    """Normalised opening (0 closed, 1 open) that SERL's `gripper_pos` asks for.

    The same number means opposite things: 255 closes a Robotiq and opens the Franka Hand.
    """
    count = int(min(max(gripper_pos, 0), _ROBOTIQ_CLOSED))
    if convention == "franka_hand":
        return min(1.0, count * _HAND_WIDTH_PER_COUNT_M / spec.width_max_m)
    return 1.0 - count / _ROBOTIQ_CLOSED
