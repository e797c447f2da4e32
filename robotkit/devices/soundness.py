"""`require_pose`: a pose that is none (zeros, NaN) is a fault of the device, not a place where the arm is."""

from __future__ import annotations

import math

import numpy as np

from robotkit.errors import DeviceFault


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
