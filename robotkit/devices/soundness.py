"""Measurements that are none (zeros for a pose, NaN) are a fault of the device, not a state of the arm."""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np

from robotkit.errors import DeviceFault


class _Measured(Protocol):
    @property
    def tcp_twist_in_base(self) -> np.ndarray: ...
    @property
    def wrench_in_tcp(self) -> np.ndarray: ...
    @property
    def joint_positions_rad(self) -> np.ndarray: ...
    @property
    def joint_velocities_rad_s(self) -> np.ndarray: ...


def require_finite(measured: _Measured) -> None:
    """Raise unless twist, wrench, joint positions and velocities are finite numbers.

    Raises:
        DeviceFault: names the first that is not.
    """
    twist, wrench = measured.tcp_twist_in_base.tolist(), measured.wrench_in_tcp.tolist()
    joints, velocities = measured.joint_positions_rad.tolist(), measured.joint_velocities_rad_s.tolist()
    if math.isfinite(sum(twist) + sum(wrench) + sum(joints) + sum(velocities)):
        return
    names = ("tcp_twist_in_base", "wrench_in_tcp", "joint_positions_rad", "joint_velocities_rad_s")
    for name, values in zip(names, (twist, wrench, joints, velocities), strict=True):
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
