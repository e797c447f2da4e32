"""`MujocoRobot`: the simulated Franka Emika Panda."""

from __future__ import annotations

import time
from typing import Literal

import numpy as np

from robotkit.devices import BaseRobotServer, CellContext, Device
from robotkit.errors import MotionFailed, RobotStopped, Unsupported
from robotkit.schema import (
    ComplianceParams,
    PluginConfig,
    PoseCommand,
    RobotCommand,
    RobotMode,
    RobotSpec,
    RobotState,
)
from sims.controllers.records import CARTESIAN_IMPEDANCE, JOINTS, OPERATIONAL_SPACE
from sims.devices.base import WorldDevice
from sims.models.panda import LINKS, VELOCITY_MAX_RAD_S
from sims.paths import PATH_TICK_S, minimum_jerk, path_duration_s

_RANGES = np.array([link.joint_range_rad for link in LINKS if link.joint_range_rad is not None])
_LAWS = {"opspace": OPERATIONAL_SPACE, "impedance": CARTESIAN_IMPEDANCE}
MOVING_RAD_S = 0.01
ARRIVED_RAD = 1e-2
"""The tolerance of SERL's joint reset."""
SETTLE_TIMEOUT_S = 3.0


class MujocoRobotConfig(PluginConfig):
    """Options of the arm `mujoco`."""

    controller: Literal["opspace", "impedance"] = "opspace"
    """The law that follows pose commands: SERL's simulator's, or the one of SERL's real robot."""


class MujocoRobot(WorldDevice, BaseRobotServer):
    """A Panda under torque control. Commands were checked by the safety layer of its cell before they come here."""

    Config = MujocoRobotConfig

    def __init__(self, config: MujocoRobotConfig, context: CellContext) -> None:
        super().__init__(config, context)
        self._has_compliance = config.controller == "impedance"
        self._arm = self.world.arm
        self._arm.pose_law = _LAWS[config.controller]
        self._stopped = False
        self._motion = 0
        self.spec = RobotSpec(
            name="mujoco",
            joint_position_min_rad=_RANGES[:, 0],
            joint_position_max_rad=_RANGES[:, 1],
            joint_velocity_max_rad_s=np.array(VELOCITY_MAX_RAD_S),
            reset_joint_positions_rad=self.world.scene.home_rad,
            command_kinds=("pose", "joint"),
        )

    def warm_up(self) -> None:
        """Compile the measurement."""
        self.get_state()

    def get_state(self) -> RobotState:
        """Return the state after the newest physics step.

        After a failure of the physics that is its last sound state, in mode "fault".

        Raises:
            NotConnected: before `connect()`.
        """
        Device.require_connected(self)
        with self.world.lock:
            numbers = self._arm.measure()
            failure = self.world.failure
        numbers.flags.writeable = False
        return RobotState.trusted(
            stamp_s=numbers.item(0),
            tcp_pose_in_base=numbers[1:8],
            tcp_twist_in_base=numbers[8:14],
            wrench_in_tcp=numbers[14:20],
            joint_positions_rad=numbers[20:27],
            joint_velocities_rad_s=numbers[27:34],
            jacobian_in_base=numbers[34:76].reshape(6, JOINTS),
            mode="fault" if failure is not None else self._mode(numbers.item(76)),
            faults=() if failure is None else (failure,),
            control_success_rate=1.0,
        )

    def send(self, command: RobotCommand) -> RobotCommand:
        """Set a new target for the Cartesian or the joint law and return at once.

        Raises:
            RobotStopped: a stop is latched.
            NotConnected: before `connect()`.
        """
        self.require_connected()
        with self.world.lock:
            self._require_not_stopped()
            self._motion += 1
            if isinstance(command, PoseCommand):
                self._arm.follow_pose(command.tcp_pose_in_base)
            else:
                self._arm.follow_joints(command.joint_positions_rad)
        return command

    def move_to_joint_positions(self, positions_rad: np.ndarray) -> None:
        """Run along a minimum-jerk joint path; in lock-step this lets the world's time pass.

        Raises:
            RobotStopped: a stop is latched, or came while moving.
            MotionFailed: it did not arrive, or another command came.
        """
        self.require_connected()
        with self.world.lock:
            self._require_not_stopped()
            self._motion += 1
            motion, resets = self._motion, self.world.resets
            start = self.get_state().joint_positions_rad
        duration_s = path_duration_s(start, positions_rad)
        elapsed_s = 0.0
        while not (elapsed_s >= duration_s and self._has_settled(positions_rad)):
            if elapsed_s > duration_s + SETTLE_TIMEOUT_S:
                self._fail(positions_rad)
            elapsed_s += PATH_TICK_S
            with self.world.lock:
                self._require_undisturbed(motion, resets)
                self._arm.follow_joints(start + (positions_rad - start) * minimum_jerk(elapsed_s / duration_s))
            self._let_pass(PATH_TICK_S)

    def set_compliance(self, params: ComplianceParams) -> None:
        """Change the impedance law, also while moving.

        Raises:
            Unsupported: the cell runs the operational-space law.
        """
        self.require_connected()
        if not self._has_compliance:
            raise Unsupported('the controller "opspace" has no compliance; build the cell with the override '
                              'robot.controller = "impedance"')  # fmt: skip
        with self.world.lock:
            self._arm.set_compliance(params)

    def hold(self) -> None:
        """Brake and hold, without latching anything."""
        self.require_connected()
        with self.world.lock:
            self._motion += 1
            self._arm.hold()

    def stop(self) -> None:
        """Hold the measured configuration and refuse commands until `recover()`."""
        with self.world.lock:
            self._stopped = True
            self._arm.hold()

    def recover(self) -> None:
        """Accept commands again; the arm holds its measured configuration.

        After a failure of the physics there is no configuration to go on from: the world restarts.

        Raises:
            DeviceFault: the physics fails at its start.
        """
        Device.require_connected(self)
        with self.world.lock:
            if self.world.failure is not None:
                self.world.restart()
            self._stopped = False
            self._arm.hold()

    def disconnect(self) -> None:
        """Leave the arm holding where it is."""
        if self._connected:
            with self.world.lock:
                self._arm.hold()
        super().disconnect()

    def _mode(self, fastest_rad_s: float) -> RobotMode:
        if self._stopped:
            return "stopped"
        return "moving" if fastest_rad_s > MOVING_RAD_S else "holding"

    def _require_not_stopped(self) -> None:
        if self._stopped:
            raise RobotStopped("the arm was stopped; call recover() when it is safe to move again")

    def _require_undisturbed(self, motion: int, resets: int) -> None:
        self.world.require_sound()
        self._require_not_stopped()
        if (motion, resets) != (self._motion, self.world.resets):
            raise MotionFailed("another command or a reset ended the joint motion before it arrived")

    def _has_settled(self, positions_rad: np.ndarray) -> bool:
        state = self.get_state()
        error_rad = float(np.abs(state.joint_positions_rad - positions_rad).max())
        return error_rad < ARRIVED_RAD and float(np.abs(state.joint_velocities_rad_s).max()) < MOVING_RAD_S

    def _fail(self, positions_rad: np.ndarray) -> None:
        state = self.get_state()
        error_rad = np.abs(state.joint_positions_rad - positions_rad)
        self.hold()
        raise MotionFailed(f"joint {int(error_rad.argmax()) + 1} stayed {error_rad.max():.3g} rad from its target; "
                           "something is in the way. The arm holds where it is")  # fmt: skip

    def _let_pass(self, period_s: float) -> None:
        if self.world.context.is_lockstep:
            self.world.advance(period_s)
        else:
            time.sleep(period_s)
