"""`SerlPegClient` and `HilSerlPegClient`: their peg environments as a server sees them: routes, order, JSON."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Protocol

import httpx
import numpy as np
from scipy.spatial.transform import Rotation

_COMPLIANT_CLIPS = {"translational_clip": (0.003, 0.003, 0.01), "rotational_clip": (0.02, 0.02, 0.02)}
_PRECISE_CLIPS = {"translational_clip": (0.01, 0.01, 0.01), "rotational_clip": (0.05, 0.05, 0.05)}


def _with_clips(law: Mapping[str, float], clips: Mapping[str, tuple[float, ...]]) -> dict[str, float]:
    return {**law, **{
        f"{kind}_{side}{axis}": value
        for kind, values in clips.items() for side in ("", "neg_") for axis, value in zip("xyz", values, strict=True)
    }}  # fmt: skip


COMPLIANCE = _with_clips(
    {"translational_stiffness": 2000, "translational_damping": 89, "rotational_stiffness": 150,
     "rotational_damping": 7, "translational_Ki": 0, "rotational_Ki": 0}, _COMPLIANT_CLIPS,
)  # fmt: skip
PRECISION = _with_clips(
    {"translational_stiffness": 3000, "translational_damping": 89, "rotational_stiffness": 300,
     "rotational_damping": 9, "translational_Ki": 0.1, "rotational_Ki": 0.1}, _PRECISE_CLIPS,
)  # fmt: skip
THRESHOLD = np.array([0.01, 0.01, 0.01, 0.2, 0.2, 0.2])
TRANSLATION_SCALE_M, ROTATION_SCALE_RAD, HZ = 0.02, 0.1, 10
XY_M, RISE_M, TILT_RAD, RZ_RAD, LIFT_M = 0.05, 0.1, 0.01, np.pi / 6, 0.1


class Time(Protocol):
    """SERL sleeps between its requests; whose time passes is handed in."""

    def now(self) -> float: ...

    def sleep(self, seconds: float) -> None: ...


class WallTime:
    """SERL's own."""

    now = staticmethod(time.monotonic)
    sleep = staticmethod(time.sleep)


class CellTime:
    """That of a served lock-step cell, which a sleep lets pass."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def now(self) -> float:
        return self._http.get("/v1/clock").raise_for_status().json()["now_s"]

    def sleep(self, seconds: float) -> None:
        if seconds > 0.0:
            self._http.post("/v1/clock/advance", json={"period_s": seconds}).raise_for_status()


class SerlPegClient:
    """Speaks to a robot server as SERL's `FrankaPegInsert` does; Euler angles are about the fixed axes x, y, z.

    Args:
        http: to the server.
        clock: what passes while SERL sleeps.
        target: position and Euler angles (6,) of the tool when the peg is in.
    """

    def __init__(self, http: httpx.Client, clock: Time, target: np.ndarray) -> None:
        self._http = http
        self._clock = clock
        self._target = target
        low = target - np.array((XY_M, XY_M, 0.0, TILT_RAD, TILT_RAD, RZ_RAD))
        high = target + np.array((XY_M, XY_M, RISE_M, TILT_RAD, TILT_RAD, RZ_RAD))
        self._low, self._high = low, high
        self.paths: list[str] = []
        """Paths of all requests, in order."""
        self.state: dict[str, Any] = {}

    def reset(self, start: np.ndarray, *, joint_reset: bool = False) -> np.ndarray:
        """The way to `start` (6,): pull up, unwind if asked to, go there, give way. Returns the tool pose (7,)."""
        self._post("update_param", COMPLIANCE)
        pose = self._update()
        self._send(pose)
        self._clock.sleep(0.5)
        self._post("update_param", PRECISION)
        self._interpolate(self._update() + np.array((0.0, 0.0, LIFT_M, 0.0, 0.0, 0.0, 0.0)), 2.0)
        if joint_reset:
            self._post("jointreset")
            self._clock.sleep(0.5)
        self._interpolate(np.concatenate((start[:3], Rotation.from_euler("xyz", start[3:]).as_quat())), 1.5)
        self._post("update_param", COMPLIANCE)
        self._post("clearerr")
        return self._update()

    def step(self, action: np.ndarray) -> tuple[np.ndarray, bool]:
        """Deltas are taken from the measured pose. Returns the tool pose (7,), and whether it is at the target."""
        start_s = self._clock.now()
        action = np.clip(action, -1.0, 1.0)
        pose = np.array(self.state["pose"])
        pose[:3] += action[:3] * TRANSLATION_SCALE_M
        turn = Rotation.from_euler("xyz", action[3:6] * ROTATION_SCALE_RAD)
        pose[3:] = (turn * Rotation.from_quat(pose[3:])).as_quat()
        self._grip(action[6])
        self._send(self._clipped(pose))
        self._clock.sleep(max(0.0, 1.0 / HZ - (self._clock.now() - start_s)))
        pose = self._update()
        return pose, self._is_at_target(pose)

    def _grip(self, action: float) -> None:
        if action <= -0.9:
            self._post("close_gripper")
        elif action >= 0.9:
            self._post("open_gripper")

    def close_gripper(self) -> None:
        self._post("close_gripper")

    def _is_at_target(self, pose: np.ndarray) -> bool:
        here = np.concatenate((pose[:3], np.abs(Rotation.from_quat(pose[3:]).as_euler("xyz"))))
        return bool((np.abs(here - self._target) < THRESHOLD).all())

    def _clipped(self, pose: np.ndarray) -> np.ndarray:
        angles = Rotation.from_quat(pose[3:]).as_euler("xyz")
        # The first angle of a gripper that points down jumps between pi and -pi: its size is clipped, its sign stays.
        angles[0] = np.sign(angles[0]) * np.clip(np.abs(angles[0]), self._low[3], self._high[3])
        angles[1:] = np.clip(angles[1:], self._low[4:], self._high[4:])
        return np.concatenate(
            (np.clip(pose[:3], self._low[:3], self._high[:3]), Rotation.from_euler("xyz", angles).as_quat())
        )

    def _interpolate(self, goal: np.ndarray, timeout_s: float) -> None:
        for pose in np.linspace(self._update(), goal, int(timeout_s * HZ)):
            self._send(pose)
            self._clock.sleep(1.0 / HZ)
        self._update()

    def _update(self) -> np.ndarray:
        self.state = self._post("getstate").json()
        return np.array(self.state["pose"])

    def _send(self, pose: np.ndarray) -> None:
        self._post("clearerr")
        self._post("pose", {"arr": pose.astype(np.float32).tolist()})

    def _post(self, path: str, body: Mapping[str, Any] | None = None) -> httpx.Response:
        self.paths.append(path)
        return self._http.post(f"/{path}", json=body).raise_for_status()


class HilSerlPegClient(SerlPegClient):
    """HIL-SERL's version: it sets a load, and commands the gripper only when the measured opening (0 to 1) differs."""

    LOAD: Mapping[str, Any] = {"mass": 0.0, "F_x_center_load": [0.0, 0.0, 0.0], "load_inertia": [0] * 9}
    GRIPPER_SLEEP_S, OPEN_ABOVE = 0.6, 0.85

    def reset(self, start: np.ndarray, *, joint_reset: bool = False) -> np.ndarray:
        self._post("set_load", self.LOAD)
        return super().reset(start, joint_reset=joint_reset)

    def close_gripper(self) -> None:
        self._post("close_gripper_slow")

    def _grip(self, action: float) -> None:
        is_open = self.state["gripper_pos"] > self.OPEN_ABOVE
        if action <= -0.5 and is_open:
            self._post("close_gripper")
        elif action >= 0.5 and not is_open:
            self._post("open_gripper")
        else:
            return
        self._clock.sleep(self.GRIPPER_SLEEP_S)
