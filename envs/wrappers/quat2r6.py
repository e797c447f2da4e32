"""`Quat2R6`: the tool's orientation as the first two columns of its rotation matrix."""

from __future__ import annotations

import numpy as np

from envs.wrappers.pose_encoding import PoseEncoding
from robotkit import spatial


class Quat2R6(PoseEncoding):
    """`tcp_pose` becomes (9,): x, y, z, then the tool's x axis, then its y axis.

    Continuous everywhere, unlike angles and quaternions. Zhou et al. 2019 (arXiv:1812.07035), section 4.
    """

    bounds = (1.0 + 1e-6,) * 6

    def encode(self, quaternion: np.ndarray) -> np.ndarray:
        """Both axes in the base frame, one after the other."""
        return spatial.matrix_from_quaternion(quaternion)[:, :2].T.ravel()
