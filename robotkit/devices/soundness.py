"""Checks of measurements and joint targets: an invalid one (zeros for a pose, NaN, six joints of seven) is refused."""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np

from robotkit.errors import DeviceFault, JointLimitExceeded
from robotkit.schema import RobotSpec

_POSE, _VECTOR = (7,), (6,)
_NUMBER_KINDS = "fiu"
"""numpy's codes of floating point, signed and unsigned integers."""


class _Measured(Protocol):
    @property
    def stamp_s(self) -> float: ...
    @property
    def tcp_pose_in_base(self) -> np.ndarray: ...
    @property
    def jacobian_in_base(self) -> np.ndarray: ...
    @property
    def control_success_rate(self) -> float: ...
    @property
    def tcp_twist_in_base(self) -> np.ndarray: ...
    @property
    def wrench_in_tcp(self) -> np.ndarray: ...
    @property
    def joint_positions_rad(self) -> np.ndarray: ...
    @property
    def joint_velocities_rad_s(self) -> np.ndarray: ...


def require_shapes(measured: _Measured, joint_count: int) -> None:
    """Raise unless every array of numbers has its shape, and every number is one.

    Raises:
        DeviceFault: names the first that is not.
    """
    numbers = (("stamp_s", measured.stamp_s), ("control_success_rate", measured.control_success_rate))
    for name, number in numbers:
        if not isinstance(number, float | int):
            raise _misshapen(name, repr(type(number).__name__), "a number")
    joints = (joint_count,)
    arrays = (
        ("tcp_pose_in_base", measured.tcp_pose_in_base, _POSE),
        ("tcp_twist_in_base", measured.tcp_twist_in_base, _VECTOR),
        ("wrench_in_tcp", measured.wrench_in_tcp, _VECTOR),
        ("joint_positions_rad", measured.joint_positions_rad, joints),
        ("joint_velocities_rad_s", measured.joint_velocities_rad_s, joints),
        ("jacobian_in_base", measured.jacobian_in_base, (6, joint_count)),
    )
    for name, array, shape in arrays:
        if not isinstance(array, np.ndarray):
            raise _misshapen(name, repr(type(array).__name__), f"an array of shape {shape}")
        if array.shape != shape or array.dtype.kind not in _NUMBER_KINDS:
            raise _misshapen(name, f"of shape {array.shape} and type {array.dtype}", f"numbers of shape {shape}")


def require_finite(measured: _Measured) -> None:
    """Raise unless all but the pose is finite.

    Raises:
        DeviceFault: names the first that is not.
    """
    twist, wrench = measured.tcp_twist_in_base.tolist(), measured.wrench_in_tcp.tolist()
    joints, velocities = measured.joint_positions_rad.tolist(), measured.joint_velocities_rad_s.tolist()
    jacobian, others = measured.jacobian_in_base.ravel().tolist(), [measured.stamp_s, measured.control_success_rate]
    if math.isfinite(sum(twist) + sum(wrench) + sum(joints) + sum(velocities) + sum(jacobian) + sum(others)):
        return
    names = (
        "tcp_twist_in_base", "wrench_in_tcp", "joint_positions_rad", "joint_velocities_rad_s", "jacobian_in_base",
        "stamp_s or control_success_rate",
    )  # fmt: skip
    for name, values in zip(names, (twist, wrench, joints, velocities, jacobian, others), strict=True):
        if not all(map(math.isfinite, values)):
            raise DeviceFault(
                f"the arm measures what is no number: {name} is {values}. Look at its sensors and its controller, then "
                "recover() or reconnect"
            )


def require_pose(tcp_pose_in_base: np.ndarray) -> None:
    """Raise unless a measured pose (7,) is finite and its orientation a quaternion of length 1 (up to 1e-3).

    Raises:
        DeviceFault: names what was measured.
    """
    # A sum is finite only when its terms are, and it is one call instead of seven.
    pose = tcp_pose_in_base.tolist()
    x, y, z, w = pose[3:]
    if not abs(x * x + y * y + z * z + w * w - 1.0) < 1e-3 or not math.isfinite(sum(pose)):
        raise DeviceFault(
            f"the arm measures no pose of its tool: tcp_pose_in_base is {pose}, and must be three finite numbers in m "
            "and a quaternion (x y z w) of length 1. Look at its controller, then recover() or reconnect"
        )


def require_in_range(goal_rad: np.ndarray, spec: RobotSpec) -> None:
    """Raise `JointLimitExceeded` unless a joint target (n,) is within the arm's ranges."""
    low, high = spec.joint_position_min_rad, spec.joint_position_max_rad
    if goal_rad.shape != low.shape or not ((low <= goal_rad) & (goal_rad <= high)).all():
        raise JointLimitExceeded(
            f"joint target {goal_rad.tolist()} is not within {low.tolist()} to {high.tolist()} rad"
        )


def _misshapen(name: str, what: str, wanted: str) -> DeviceFault:
    return DeviceFault(
        f"the arm measures what is no measurement: {name} is {what}, and must be {wanted}. Its driver has to be mended"
    )
