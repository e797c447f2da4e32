"""`PoseEncoding`: the base of wrappers that show the tool's orientation in other numbers than a quaternion."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.utils import RecordConstructorArgs

from envs.wrappers.layout import state_space, with_state
from robotkit import InvalidConfiguration


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
