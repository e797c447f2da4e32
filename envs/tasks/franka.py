"""`FrankaTask`: the base class of SERL's tasks on a real arm, for any cell, real, simulated or remote."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces

from envs.actions import BinaryGripper, PoseDelta, PoseDeltaConfig
from envs.tasks.arm_motion import ArmMotion
from envs.tasks.cell_fit import require_fit
from envs.tasks.franka_config import FrankaTaskConfig
from envs.tasks.task import Outcome, Task
from robotkit import InvalidConfiguration, Workcell, spatial
from robotkit.schema import CellState, GripperCommand
from robotkit.schema.arrays import Array
from robotkit.workspace import clip_pose

_POSE = Array(7, unit_quaternion=True)
# Gymnasium's checker wants finite bounds; these are far beyond anything that an arm can measure.
_FAR = 100.0
_HARD = 1000.0


class FrankaTask(Task):
    """Bring the tool to a pose: sparse reward 1 there, 0 elsewhere.

    A task of its own overrides what differs: `object_poses` (where things start), `leave` (how the tool gets away from
    them), `evaluate` (what counts), `observe` (what else is seen). Its options at `reset` are named in `option_names`.

    Args:
        config: the numbers of the task.
    """

    option_names: tuple[str, ...] = ("tcp_pose",)
    """Names of the options that `reset(options=...)` takes; "tcp_pose" (7,) fixes the start of the tool."""

    def __init__(self, config: FrankaTaskConfig) -> None:
        self.config = config
        self.control_period_s = config.control_period_s
        self.image_cameras = config.image_keys
        self.image_shape = config.image_shape
        self.image_views = config.image_views
        self.render_camera = config.render_camera
        self.target = config.target
        """Pose (7,) of the tool when the task is done; a task whose goal moves sets it in `begin`."""
        self.motion = ArmMotion(
            config.workspace,
            config.control_period_s,
            config.reset_speed_m_s,
            config.reset_speed_rad_s,
            config.arrival_tolerance_m,
            config.arrival_tolerance_rad,
            config.arrival_timeout_s,
        )
        self.state_space = spaces.Dict({
            "tcp_pose": _box([_FAR] * 3 + [1.0] * 4),
            "tcp_vel": _box([_FAR] * 6),
            "gripper_pose": spaces.Box(0.0, 1.0, (1,), np.float32),
            "tcp_force": _box([_HARD] * 3),
            "tcp_torque": _box([_HARD] * 3),
        })  # fmt: skip
        self._episodes = 0

    def require_devices(self, workcell: Workcell) -> None:
        """Check the devices, and refuse a cell whose safety limits are narrower than the task needs."""
        super().require_devices(workcell)
        actions = pose_delta_config(self.config)
        longest_m = max(actions.longest_step_m, self.config.reset_speed_m_s * self.config.control_period_s)
        longest_rad = max(actions.longest_step_rad, self.config.reset_speed_rad_s * self.config.control_period_s)
        period_s = self.config.control_period_s
        require_fit(type(self).__name__, workcell, self.config.workspace, longest_m, longest_rad, period_s)

    def reset(self, workcell: Workcell, np_random: np.random.Generator, options: Mapping[str, Any]) -> CellState:
        """Put the world to its start where that can be done, bring the tool to its start, make the arm compliant.

        Raises:
            MotionFailed: the tool did not arrive.
        """
        self._check_options(options)
        start = self.start_pose(np_random, options)
        poses = self.object_poses(np_random, options)
        is_fresh = workcell.can_place_objects and poses is not None
        if is_fresh:
            workcell.reset(int(np_random.integers(2**31)), poses)
        else:
            workcell.robot.hold()
        if self.config.precision is not None:
            workcell.robot.set_compliance(self.config.precision)
        if not is_fresh:
            self._leave_and_unwind(workcell)
        if self.config.gripper_at_reset is not None:
            workcell.step(None, GripperCommand(position=self.config.gripper_at_reset), self.control_period_s)
        state = self.motion.run(workcell, start)
        if self.config.compliance is not None:
            workcell.robot.set_compliance(self.config.compliance)
        self.begin(state, np_random, options)
        return state

    def start_pose(self, np_random: np.random.Generator, options: Mapping[str, Any]) -> np.ndarray:
        """The pose at which the tool starts, (7,): that of the options, or the reset pose with its random part."""
        if "tcp_pose" in options:
            return pose_option(options, "tcp_pose")
        return draw_near(self.config.start, self.config.reset_xy_m, self.config.reset_rz_rad, np_random)

    def object_poses(
        self, np_random: np.random.Generator, options: Mapping[str, Any]
    ) -> Mapping[str, np.ndarray] | None:
        """The start poses of objects, (7,) by tracker name, in a world that can place them; others go to their home.

        None leaves such a world as it is (reset-free learning): the arm then moves as a real one does.
        """
        return {}

    def leave(self, workcell: Workcell) -> None:
        """Move straight up, away from the contact in which the last episode may have ended."""
        pose = workcell.get_state().robot.tcp_pose_in_base
        lift = np.array((0.0, 0.0, self.config.lift_m, 0.0, 0.0, 0.0, 0.0))
        self.motion.run(workcell, clip_pose(pose + lift, self.config.workspace))

    def begin(self, state: CellState, np_random: np.random.Generator, options: Mapping[str, Any]) -> None:
        """Take note of how the episode starts; the tool has arrived."""

    def observe(self, state: CellState) -> dict[str, np.ndarray]:
        """SERL's state: pose and twist in the base frame, opening (1 open), force and torque in the tool frame."""
        robot, gripper = state.robot, state.gripper
        assert gripper is not None
        pose = robot.tcp_pose_in_base.astype(np.float32)
        # q and -q are one orientation: the one on the start's side is shown, so that no step makes it jump.
        if pose[3:] @ self.config.start[3:] < 0.0:
            pose[3:] *= -1.0
        return {
            "tcp_pose": pose,
            "tcp_vel": robot.tcp_twist_in_base.astype(np.float32),
            "gripper_pose": np.array([gripper.position], np.float32),
            "tcp_force": robot.wrench_in_tcp[:3].astype(np.float32),
            "tcp_torque": robot.wrench_in_tcp[3:].astype(np.float32),
        }

    def evaluate(self, state: CellState) -> Outcome:
        """Reward 1 where the tool is at the target, which ends the episode if the config says so."""
        is_success = self.is_at(self.target, state.robot.tcp_pose_in_base)
        return Outcome(float(is_success), is_success, is_success and self.config.terminates_on_success)

    def is_at(self, target: np.ndarray, pose: np.ndarray) -> bool:
        """True when `pose` (7,) is within the thresholds of `target` (7,).

        The relative rotation decides, never a difference of Euler angles, which jumps where a gripper points down.
        """
        turn = spatial.rotation_vector_from_quaternion(spatial.relative_pose(target, pose)[3:])
        off_m = np.abs(pose[:3] - target[:3])
        return bool((off_m <= self.config.threshold_m).all() and (np.abs(turn) <= self.config.threshold_rad).all())

    def _leave_and_unwind(self, workcell: Workcell) -> None:
        self.leave(workcell)
        self._episodes += 1
        period = self.config.joint_reset_period
        if period and self._episodes % period == 0:
            workcell.robot.reset()

    def _check_options(self, options: Mapping[str, Any]) -> None:
        unknown = sorted(set(options) - set(self.option_names))
        if unknown:
            raise InvalidConfiguration(
                f"{type(self).__name__} knows no reset option {unknown}; it takes: {', '.join(self.option_names)}"
            )


def pose_option(options: Mapping[str, Any], name: str) -> np.ndarray:
    """The pose (7,) that the reset option `name` gives.

    Raises:
        InvalidConfiguration: it is none.
    """
    try:
        return _POSE.validate(options[name])
    except ValueError as error:
        raise InvalidConfiguration(f"the reset option {name!r}: {error}") from error


def draw_near(pose: np.ndarray, reach_m: float, reach_rad: float, np_random: np.random.Generator) -> np.ndarray:
    """A pose (7,) within `reach_m` of `pose` along x and along y, turned by up to `reach_rad` about the vertical."""
    shift_m = np.array((*np_random.uniform(-reach_m, reach_m, 2), 0.0))
    turn = np.array((0.0, 0.0, np_random.uniform(-reach_rad, reach_rad)))
    return spatial.integrate_delta(pose, shift_m, turn)


def pose_delta_config(config: FrankaTaskConfig) -> PoseDeltaConfig:
    """Reach and bounds of the task's actions."""
    return PoseDeltaConfig(
        config.workspace,
        config.translation_scale_m,
        config.rotation_scale_rad,
        config.rotation_as,
        config.lead_m,
        config.lead_rad,
    )


def franka_actions(config: FrankaTaskConfig) -> PoseDelta:
    """SERL's seven numbers: x, y, z, rotation x, y, z, gripper."""
    return PoseDelta(pose_delta_config(config), BinaryGripper(config.gripper_threshold, config.gripper_sleep_s))


def _box(bounds: list[float]) -> spaces.Box:
    high = np.array(bounds, np.float32)
    return spaces.Box(-high, high, dtype=np.float32)
