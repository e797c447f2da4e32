"""`Quat2Euler`: the tool's orientation as Euler angles."""

from __future__ import annotations

import math

import numpy as np

from envs.wrappers.pose_encoding import PoseEncoding
from robotkit import spatial


class Quat2Euler(PoseEncoding):
    """`tcp_pose` becomes (6,): x, y, z, then roll, pitch, yaw about the fixed axes x, y, z, in that order.

    The angles jump where roll or yaw pass pi, which a gripper that points down does in the base frame: use it outside
    `RelativeFrame`, where angles start at 0, or take `Quat2R6`. (S20: SERL's conversion had the sign of pitch wrong.)
    """

    # Rounding to single precision may lift pi above itself.
    bounds = (math.nextafter(np.float32(math.pi), 4.0) + 1e-6,) * 3

    def encode(self, quaternion: np.ndarray) -> np.ndarray:
        """Roll, pitch, yaw in rad."""
        return spatial.euler_xyz_from_quaternion(quaternion)
