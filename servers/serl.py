"""The conversion of SERL's and HIL-SERL's units and names into those of robotkit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from pydantic import Field, field_validator

from robotkit.errors import InvalidCommand, Unsupported
from robotkit.schema import ComplianceParams, GripperSpec, GripperState, Message, PluginConfig, Pose
from robotkit.schema.numbers import require_numbers
from servers.errors import validated
from servers.settings import GripperUnit

Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
"""A finite JSON number; no boolean and no text."""

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
    """Return SERL's names of the clips: it writes both ends as positive numbers; "neg" names the lower end."""
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
        require_numbers(arr, depth=1)
        numbers = np.array(arr, dtype=np.float64)
        length = math.hypot(*numbers[3:].tolist())
        return np.concatenate((numbers[:3], numbers[3:] / length)) if _SHORTEST_QUATERNION <= length < 1.0 else arr


class GripperRequest(Message):
    """Body of `/move_gripper`, in the server's `GripperUnit`."""

    gripper_pos: Number


class LoadRequest(Message):
    """Body of HIL-SERL's `/set_load`: what the arm carries beyond its end effector."""

    mass: Annotated[Number, Field(ge=0.0, le=20.0)]
    """Mass in kilograms."""
    F_x_center_load: Annotated[list[Number], Field(min_length=3, max_length=3)]
    """Centre of mass in the flange frame (3,), metres."""
    load_inertia: Annotated[list[Number], Field(min_length=9, max_length=9)] = Field(default_factory=lambda: [0.0] * 9)
    """Inertia about the centre of mass (3, 3), column by column, kg m^2."""


def check_load(request: LoadRequest, config: PluginConfig) -> None:
    """Compare a client's load with the one that the cell file gives the arm.

    An arm compensates its load from the moment at which control starts, so the cell file sets it. An arm without that
    option (a simulated one knows what it carries) takes any.

    Raises:
        Unsupported: the arm was started with another load.
    """
    if not hasattr(config, "load"):
        return
    load = config.load
    own = (
        np.zeros(13)
        if load is None
        else np.concatenate(((load.mass_kg,), load.centre_of_mass_in_flange_m, load.inertia_kg_m2.ravel(order="F")))
    )
    asked = np.array((request.mass, *request.F_x_center_load, *request.load_inertia))
    # Without a mass the other numbers mean nothing.
    if not (np.allclose(asked, own, atol=1e-6) or asked[0] == own[0] == 0.0):
        raise Unsupported(
            f"the arm was started with a load of {own[0]:g} kg at {own[1:4].tolist()} m, and {asked[0]:g} kg at "
            f"{asked[1:4].tolist()} m was asked for: write it into the cell file ([robot.load]) and restart the server"
        )


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


def gripper_to_serl(state: GripperState, unit: GripperUnit) -> float:
    """Measured position in `unit`."""
    if unit == "franka-hand":
        return state.width_m
    if unit == "hil-serl":
        return state.position
    return round((1.0 - state.position) * _ROBOTIQ_CLOSED)


def gripper_from_serl(gripper_pos: float, spec: GripperSpec, unit: GripperUnit) -> float:
    """Normalised opening (0 closed, 1 open) that SERL's `gripper_pos` asks for.

    The same number means opposite things: 255 closes a Robotiq and opens the Franka Hand; 1 opens under "hil-serl".
    Numbers beyond 0 to 255 count as the nearest of them.

    Raises:
        InvalidCommand: not within 0 to 1 under "hil-serl"; a count of the other units would do the opposite.
    """
    if unit == "hil-serl":
        if not 0.0 <= gripper_pos <= 1.0:
            raise InvalidCommand(
                f'gripper_pos = {gripper_pos:g}, but this server speaks "hil-serl": send 0 (closed) to 1 (open), '
                "or start it with --serl-gripper robotiq"
            )
        return gripper_pos
    count = round(min(max(gripper_pos, 0), _ROBOTIQ_CLOSED))
    if unit == "franka-hand":
        return min(1.0, count * _HAND_WIDTH_PER_COUNT_M / spec.width_max_m)
    return 1.0 - count / _ROBOTIQ_CLOSED
