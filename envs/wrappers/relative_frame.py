"""`RelativeFrame`: actions in the tool's axes, poses relative to where the episode started."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.utils import RecordConstructorArgs

from envs.wrappers.action_view import ActionView
from envs.wrappers.layout import state_space, with_state
from robotkit import InvalidConfiguration, spatial


class RelativeFrame(ActionView, RecordConstructorArgs):
    """Observations and actions relative to the start of the episode, so that a policy does not depend on the place.

    An action's translation and rotation are read in the axes of the tool as it was observed last, and only rotated into
    the base's: a delta of a pose has no lever arm, so a pure translation stays one. (SERL applies the adjoint
    of a twist.) `tcp_pose` is shown relative to the first pose of the episode, `tcp_vel` in the tool's own axes. What a
    human did (`info["intervene_action"]`, base axes) is turned into the axes in which the policy would have said it,
    those before the step.

    A rotated action may stick out of [-1, 1]; it is then shortened, translation and rotation each by itself, so that it
    keeps its direction.

    Args:
        env: its state has `tcp_pose` (7,) and `tcp_vel` (6,); its actions start with translation and rotation.
        relative_pose: False leaves `tcp_pose` in the base frame.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], relative_pose: bool = True) -> None:
        RecordConstructorArgs.__init__(self, relative_pose=relative_pose)
        super().__init__(env)
        state = state_space(type(self).__name__, env, "tcp_pose", "tcp_vel")
        actions = env.action_space
        if not isinstance(actions, spaces.Box) or len(actions.shape) != 1 or actions.shape[0] < 6:
            raise InvalidConfiguration(f"RelativeFrame needs actions that start with six numbers, not {actions}")
        if state["tcp_pose"].shape != (7,):
            raise InvalidConfiguration("RelativeFrame needs a tcp_pose of seven numbers; put it inside Quat2Euler")
        self._has_relative_pose = relative_pose
        self._start = self._tool = np.array((0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0))
        pose, twist = (_widened(state[key]) for key in ("tcp_pose", "tcp_vel"))
        self.observation_space = with_state(env.observation_space, tcp_pose=pose, tcp_vel=twist)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Reset; the first pose of the episode becomes the origin."""
        observation, info = self.env.reset(seed=seed, options=options)
        self._start = self._tool = _unit(observation["state"]["tcp_pose"])
        return self._relative(observation), info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step with the action in base axes."""
        observation, reward, terminated, truncated, info = super().step(action)
        self._tool = _unit(observation["state"]["tcp_pose"])
        return self._relative(observation), reward, terminated, truncated, info

    def inward(self, action: np.ndarray) -> np.ndarray:
        """Rotate an action from tool axes to base axes, shortened to fit into [-1, 1]."""
        turned = spatial.rotate_vec6(self._tool[3:], action[:6].astype(np.float64))
        fitting = (half / max(1.0, float(np.abs(half).max())) for half in (turned[:3], turned[3:]))
        return np.concatenate((*fitting, action[6:])).astype(action.dtype)

    def outward(self, action: np.ndarray) -> np.ndarray:
        """Rotate an action from base axes to tool axes."""
        to_tool = spatial.inverse(self._tool)[3:]
        turned = spatial.rotate_vec6(to_tool, action[:6].astype(np.float64))
        return np.concatenate((turned, action[6:])).astype(action.dtype)

    def _relative(self, observation: Any) -> Any:
        state = dict(observation["state"])
        state["tcp_vel"] = self.outward(state["tcp_vel"])
        if self._has_relative_pose:
            pose = spatial.relative_pose(self._start, self._tool)
            # Of q and -q the one next to the identity, which every episode starts from.
            pose[3:] *= -1.0 if pose[6] < 0.0 else 1.0
            state["tcp_pose"] = pose.astype(np.float32)
        return {**observation, "state": state}


def _unit(pose: np.ndarray) -> np.ndarray:
    """A pose in double precision whose quaternion lost nothing to single precision."""
    exact = pose.astype(np.float64)
    exact[3:] /= np.linalg.norm(exact[3:])
    return exact


def _widened(space: spaces.Space[Any]) -> spaces.Box:
    """Return the same bounds for every number that a rotation may mix, twice as wide for a difference of two."""
    assert isinstance(space, spaces.Box)
    bound = np.abs(space.high)
    bound[:3] = 2.0 * bound[:3].max()
    bound[3:] = bound[3:].max() * (1.0 if bound.size == 7 else 2.0)
    return spaces.Box(-bound, bound, dtype=np.float32)
