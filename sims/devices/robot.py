"""`MujocoRobot`: the simulated Franka Emika Panda."""

from __future__ import annotations

from typing import Literal

import numpy as np

from robotkit.devices import ArmFault, CellContext, Measurement, StatefulRobotServer, Travel
from robotkit.errors import MotionFailed, Unsupported
from robotkit.schema import ComplianceParams, PluginConfig, PoseCommand, RobotCommand, RobotSpec
from sims.controllers.records import CARTESIAN_IMPEDANCE, JOINTS, OPERATIONAL_SPACE
from sims.models.kinematics import panda_chain
from sims.models.panda import LINKS, VELOCITY_MAX_RAD_S
from sims.paths import PATH_TICK_S, minimum_jerk, path_duration_s
from sims.world import require_world

_RANGES = np.array([link.joint_range_rad for link in LINKS if link.joint_range_rad is not None])
_LAWS = {"opspace": OPERATIONAL_SPACE, "impedance": CARTESIAN_IMPEDANCE}
STILL_RAD_S = 0.01
ARRIVED_RAD = 1e-2
"""The tolerance of SERL's joint reset."""
SETTLE_TIMEOUT_S = 3.0


class MujocoRobotConfig(PluginConfig):
    """Options of the arm `mujoco`."""

    controller: Literal["opspace", "impedance"] = "opspace"
    """The law that follows pose commands: SERL's simulator's, or the one of SERL's real robot."""


class MujocoRobot(StatefulRobotServer):
    """A Panda under torque control. Commands were checked by the safety layer of its cell before they come here.

    A numerical failure of the physics is the arm's fault; `recover()` then brings the whole world to its start, and so
    does a reset of the cell, after which the fault is gone. A stop outlives both. Where another cell does it, in one
    world of several arms, the fault stays until this arm is recovered or its own cell is reset.
    """

    Config = MujocoRobotConfig
    restarts_after_fault = True

    def __init__(self, config: MujocoRobotConfig, context: CellContext) -> None:
        self.world = require_world(context, type(self).__name__)
        spec = RobotSpec(
            name="mujoco",
            joint_position_min_rad=_RANGES[:, 0],
            joint_position_max_rad=_RANGES[:, 1],
            joint_velocity_max_rad_s=np.array(VELOCITY_MAX_RAD_S),
            reset_joint_positions_rad=self.world.scene.home_rad,
            command_kinds=("pose", "joint"),
            is_simulated=True,
            kinematics=panda_chain(),
        )
        super().__init__(config, context, spec)
        self._arm = self.world.arm
        self.world.when_failed = self._notice_fault
        self._arm.pose_law = _LAWS[config.controller]
        self._has_compliance = config.controller == "impedance"
        if self._has_compliance:
            self._compliance = ComplianceParams()

    def forget_target(self) -> None:
        """The world was put back to its start, where its physics is sound again."""
        with self.machine.lock:
            super().forget_target()
            if not self.world.is_put_back_by_another:
                self.machine.clear_fault()
            self._notice_fault()

    def _open(self) -> ArmFault | None:
        """Enter the world, which is connected first if it was not, and compile the measurement."""
        self.world.connect()
        self._measure()
        return self._find_fault()

    def _close(self) -> None:
        """Leave the world, with the arm at rest; it goes on for the others."""

    def _measure(self) -> Measurement:
        """The state after the newest physics step, or after the last sound one of a world that has failed."""
        with self.world.lock:
            numbers = self._arm.measure()
        numbers.flags.writeable = False
        return Measurement(
            numbers.item(0), numbers[1:8], numbers[8:14], numbers[14:20], numbers[20:27], numbers[27:34],
            numbers[34:76].reshape(6, JOINTS),
        )  # fmt: skip

    def _find_fault(self) -> ArmFault | None:
        problem = self.world.problem
        return None if problem is None else self.machine.fault_of((problem,), self.world.failure(problem))

    def _clear_faults(self) -> None:
        """A world whose physics has failed has no state to go on from: it restarts."""
        self.world.recover()

    def _follow(self, command: RobotCommand) -> RobotCommand:
        """Set a new target for the Cartesian or the joint law."""
        with self.world.lock:
            self.world.require_sound()
            if isinstance(command, PoseCommand):
                self._arm.follow_pose(command.tcp_pose_in_base)
            else:
                self._arm.follow_joints(command.joint_positions_rad)
        return command

    def _hold(self) -> None:
        with self.world.lock:
            self._arm.hold()

    def _halt(self) -> None:
        self._hold()

    def _forget_target(self) -> None:
        """The start of the world has its own target for the arm; after it this arm may have been commanded again."""
        if self.world.is_put_back_by_another:
            self._hold()

    def _set_compliance(self, params: ComplianceParams) -> None:
        if not self._has_compliance:
            raise Unsupported('the controller "opspace" has no compliance; build the cell with the override '
                              'robot.controller = "impedance"')  # fmt: skip
        with self.world.lock:
            self._arm.set_compliance(params)

    def _travel(self, goal_rad: np.ndarray, travel: Travel) -> None:
        """Run along a minimum-jerk joint path; in lock-step this lets the world's time pass."""
        resets, start_rad = self.world.resets, self._measure().joint_positions_rad
        duration_s = path_duration_s(start_rad, goal_rad, travel.rate_max_hz)
        elapsed_s = 0.0
        while not (elapsed_s >= duration_s and self._has_settled(goal_rad)):
            if elapsed_s > duration_s + SETTLE_TIMEOUT_S:
                raise self._not_arrived(goal_rad)
            elapsed_s += PATH_TICK_S
            with travel.moving(), self.world.lock:
                self.world.require_sound()
                if self.world.resets != resets:
                    raise MotionFailed("a reset of the world ended the joint motion before it arrived")
                self._arm.follow_joints(start_rad + (goal_rad - start_rad) * minimum_jerk(elapsed_s / duration_s))
            if self.world.context.is_lockstep:
                self.world.advance(PATH_TICK_S)
            else:
                travel.wait(PATH_TICK_S)

    def _has_settled(self, goal_rad: np.ndarray) -> bool:
        measured = self._measure()
        error_rad = float(np.abs(measured.joint_positions_rad - goal_rad).max())
        return error_rad < ARRIVED_RAD and float(np.abs(measured.joint_velocities_rad_s).max()) < STILL_RAD_S

    def _not_arrived(self, goal_rad: np.ndarray) -> MotionFailed:
        error_rad = np.abs(self._measure().joint_positions_rad - goal_rad)
        return MotionFailed(f"joint {int(error_rad.argmax()) + 1} stayed {error_rad.max():.3g} rad from its target; "
                            "something is in the way. The arm holds where it is")  # fmt: skip
