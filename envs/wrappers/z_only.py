"""`ZOnly`: observes only the height of the tool's pose."""

from __future__ import annotations

from typing import Any

import gymnasium
from gymnasium import spaces
from gymnasium.utils import RecordConstructorArgs

from envs.wrappers.layout import state_space, with_state


class ZOnly(gymnasium.ObservationWrapper[Any, Any, Any], RecordConstructorArgs):
    """`tcp_pose` becomes (1,), its z, so that a policy finds the horizontal position from images.

    With SERL's five entries, the flat state then has 14 numbers: gripper 1, force 3, z 1, torque 3, velocity 6.

    Args:
        env: its state has a `tcp_pose` that starts with x, y, z.
    """

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        RecordConstructorArgs.__init__(self)
        super().__init__(env)
        pose = state_space(type(self).__name__, env, "tcp_pose")["tcp_pose"]
        assert isinstance(pose, spaces.Box)
        height = spaces.Box(pose.low[2:3], pose.high[2:3], dtype=pose.dtype.type)
        self.observation_space = with_state(env.observation_space, tcp_pose=height)

    def observation(self, observation: Any) -> Any:
        """Leave all of the pose but z out."""
        state = observation["state"]
        return {**observation, "state": {**state, "tcp_pose": state["tcp_pose"][2:3]}}
