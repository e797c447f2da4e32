"""Wrappers that show the tool's orientation in other numbers than a quaternion: Euler angles, two axes."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.utils import RecordConstructorArgs

from envs.wrappers.layout import state_space, with_state
from robotkit import InvalidConfiguration, spatial


class PoseEncoding(gymnasium.ObservationWrapper[Any, Any, Any], RecordConstructorArgs):
    """Shows `tcp_pose` as the position and what `encode` makes of the quaternion.

    Args:
        env: its state has `tcp_pose` (7,), with a quaternion xyzw.
    """

    bounds: tuple[float, ...]
    """The largest magnitude of each number that `encode` returns."""

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        RecordConstructorArgs.__init__(self)
        super().__init__(env)
        name = type(self).__name__
        pose = state_space(name, env, "tcp_pose")["tcp_pose"]
        if not isinstance(pose, spaces.Box) or pose.shape != (7,):
            raise InvalidConfiguration(f"{name} needs a tcp_pose of seven numbers, position and quaternion, not {pose}")
        high = np.concatenate((pose.high[:3], np.array(self.bounds, np.float32)))
        encoded = spaces.Box(np.concatenate((pose.low[:3], -high[3:])), high, dtype=np.float32)
        self.observation_space = with_state(env.observation_space, tcp_pose=encoded)

    @abstractmethod
    def encode(self, quaternion: np.ndarray) -> np.ndarray:
        """The numbers for a unit quaternion xyzw (4,)."""

    def observation(self, observation: Any) -> Any:
        """Encode the orientation."""
        pose = observation["state"]["tcp_pose"].astype(np.float64)
        quaternion = pose[3:] / np.linalg.norm(pose[3:])
        encoded = np.concatenate((pose[:3], self.encode(quaternion))).astype(np.float32)
        return {**observation, "state": {**observation["state"], "tcp_pose": encoded}}


class Quat2Euler(PoseEncoding):
    """`tcp_pose` becomes (6,): x, y, z, then roll, pitch, yaw about the fixed axes x, y, z, in that order.

    The angles jump where roll or yaw pass pi, which a gripper that points down does in the base frame: use it outside
    `RelativeFrame`, where angles start at 0, or take `Quat2R6`. (SERL's conversion has the sign of pitch wrong.)
    """

    # Rounding to single precision may lift pi above itself.
    bounds = (math.nextafter(np.float32(math.pi), 4.0) + 1e-6,) * 3

    def encode(self, quaternion: np.ndarray) -> np.ndarray:
        """Roll, pitch, yaw in rad."""
        return spatial.euler_xyz_from_quaternion(quaternion)


class Quat2R6(PoseEncoding):
    """`tcp_pose` becomes (9,): x, y, z, then the tool's x axis, then its y axis.

    Continuous everywhere, unlike angles and quaternions. Zhou et al. 2019 (arXiv:1812.07035), section 4.
    """

    bounds = (1.0 + 1e-6,) * 6

    def encode(self, quaternion: np.ndarray) -> np.ndarray:
        """Return both axes in the base frame, one after the other."""
        return spatial.matrix_from_quaternion(quaternion)[:, :2].T.ravel()
