"""An environment in SERL's layout whose tool is where the test says, and which remembers what it was told."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

SIZES = {"tcp_pose": 7, "tcp_vel": 6, "gripper_pose": 1, "tcp_force": 3, "tcp_torque": 3}
IDENTITY = np.array((0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0))


class PoseEnv(gymnasium.Env[Any, Any]):
    """The tool is at `poses[n]` after n steps, and stays at the last one; `twist` (6,) is its measured velocity."""

    def __init__(self, *poses: np.ndarray, cameras: tuple[str, ...] = (), size: int = 7) -> None:
        self.poses = poses or (IDENTITY,)
        self.cameras = cameras
        self.twist = np.zeros(6)
        self.taken: list[np.ndarray] = []
        self.options: list[Any] = []
        self.next_info: dict[str, Any] = {}
        self.reward, self.ends = 0.0, False
        state = {key: spaces.Box(-100.0, 100.0, (count,), np.float32) for key, count in SIZES.items()}
        self.observation_space = spaces.Dict({"state": spaces.Dict(state)})
        if cameras:
            image = spaces.Box(0, 255, (4, 4, 3), np.uint8)
            self.observation_space = spaces.Dict({
                "state": spaces.Dict(state), "images": spaces.Dict(dict.fromkeys(cameras, image)),
            })  # fmt: skip
        self.action_space = spaces.Box(-1.0, 1.0, (size,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.options.append(options)
        self.taken = []
        return self._observe(), {"success": False, "gripper_changed": False}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.taken.append(action)
        info = {"success": False, "gripper_changed": False, **self.next_info}
        return self._observe(), self.reward, self.ends, False, info

    def _observe(self) -> dict[str, Any]:
        pose = self.poses[min(len(self.taken), len(self.poses) - 1)]
        numbers = {"tcp_pose": pose, "tcp_vel": self.twist}
        state = {key: np.array(numbers.get(key, np.full(size, 0.5)), np.float32) for key, size in SIZES.items()}
        if not self.cameras:
            return {"state": state}
        return {"state": state, "images": {
            name: np.full((4, 4, 3), 10 * index + len(self.taken), np.uint8)
            for index, name in enumerate(self.cameras)
        }}  # fmt: skip
