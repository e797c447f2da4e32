"""`Ur5eRobot`: the arm as robotkit sees it."""

from __future__ import annotations

import threading

import numpy as np

from robotkit import (
    BaseRobotServer,
    CellContext,
    CommandRejected,
    ComplianceParams,
    JointLimitExceeded,
    MotionFailed,
    PluginConfig,
    PoseCommand,
    RobotCommand,
    RobotSpec,
    RobotState,
    RobotStopped,
    Unsupported,
    spatial,
)
from robotkit_ur5e import kinematics
from robotkit_ur5e.connection import Connection, Rtde, StandIn

HOME_RAD = np.array([2.84086, -1.60442, 2.10334, -2.06972, -1.5708, -1.87153])
"""Tool straight down, 30 cm over the table, 45 cm in front of the base."""

_STEP_S = 0.01
_SETTLE_S = 2.0
_ARRIVED_RAD = 0.01
_STILL_RAD_S = 0.02


class Ur5eConfig(PluginConfig):
    """Options of the UR5e."""

    host: str | None = None
    """Address of the controller; without one a kinematic stand-in moves, which needs no package and no robot."""
    joint_speed_rad_s: float = 1.0
    """Mean speed of the blocking joint motion."""


class Ur5eRobot(BaseRobotServer):
    """A UR5e that is servoed in joint space; a pose goes through inverse kinematics near the present joints."""

    Config = Ur5eConfig

    def __init__(self, config: Ur5eConfig, context: CellContext) -> None:
        super().__init__(config, context)
        self._options = config
        self.spec = RobotSpec(
            name="ur5e",
            joint_position_min_rad=np.full(kinematics.JOINTS, -2.0 * np.pi),
            joint_position_max_rad=np.full(kinematics.JOINTS, 2.0 * np.pi),
            joint_velocity_max_rad_s=np.full(kinematics.JOINTS, np.pi),
            reset_joint_positions_rad=HOME_RAD,
            command_kinds=("pose", "joint"),
            measures_wrench=config.host is not None,
        )
        self._connection: Connection | None = None
        self._stopped = threading.Event()

    @property
    def is_connected(self) -> bool:
        """True between `connect()` and `disconnect()`."""
        return self._connection is not None

    def connect(self) -> None:
        """Connect to the controller, or set up the stand-in."""
        if self._connection is None:
            host = self._options.host
            self._connection = Rtde(host) if host else StandIn(HOME_RAD, self.context.clock)

    def disconnect(self) -> None:
        """Stop and let the arm go."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def get_state(self) -> RobotState:
        """Measure; the wrench is turned into the tool's axes."""
        measured = self._ready().measure()
        joints, velocities = measured.joints_rad, measured.velocities_rad_s
        pose, jacobian = kinematics.tcp_pose(joints), kinematics.jacobian(joints)
        tool_from_base = spatial.inverse(pose)[3:]
        is_moving = bool(np.abs(velocities).max() > _STILL_RAD_S)
        return RobotState.trusted(
            stamp_s=self.context.clock.now_s(),
            tcp_pose_in_base=pose,
            tcp_twist_in_base=jacobian @ velocities,
            wrench_in_tcp=spatial.rotate_vec6(tool_from_base, measured.wrench_in_base),
            joint_positions_rad=joints,
            joint_velocities_rad_s=velocities,
            jacobian_in_base=jacobian,
            mode="stopped" if self._stopped.is_set() else "moving" if is_moving else "holding",
            faults=(),
            control_success_rate=1.0,
        )

    def send(self, command: RobotCommand) -> RobotCommand:
        """Servo towards the target."""
        connection = self._unstopped()
        connection.servo_to(self._joints_for(command, connection.measure().joints_rad))
        return command

    def move_to_joint_positions(self, positions_rad: np.ndarray) -> None:
        """Servo along a smooth path, then wait until the arm has settled."""
        connection = self._unstopped()
        goal = self._in_range(np.array(positions_rad, dtype=np.float64))
        start = connection.measure().joints_rad
        steps = 1 + int(1.5 * np.abs(goal - start).max() / self._options.joint_speed_rad_s / _STEP_S)
        for share in np.linspace(0.0, 1.0, steps + 1)[1:]:
            connection.servo_to(start + (goal - start) * share * share * (3.0 - 2.0 * share))
            self._pass_time()
        self._wait_until_settled(connection, goal)

    def set_compliance(self, params: ComplianceParams) -> None:
        """A servoed UR5e has no impedance law."""
        raise Unsupported("the UR5e plugin servoes joint positions and has no impedance control")

    def stop(self) -> None:
        """Hold where the arm is measured."""
        self._stopped.set()
        if self._connection is not None:
            self._connection.servo_to(self._connection.measure().joints_rad)

    def recover(self) -> None:
        """Clear the stop; hold where the arm is."""
        connection = self._ready()
        connection.clear()
        connection.servo_to(connection.measure().joints_rad)
        self._stopped.clear()

    def _ready(self) -> Connection:
        self.require_connected()
        assert self._connection is not None
        return self._connection

    def _unstopped(self) -> Connection:
        connection = self._ready()
        if self._stopped.is_set():
            raise RobotStopped("the UR5e is stopped; call recover() when it is safe to move again")
        return connection

    def _joints_for(self, command: RobotCommand, near_rad: np.ndarray) -> np.ndarray:
        if not isinstance(command, PoseCommand):
            return self._in_range(command.joint_positions_rad)
        joints = kinematics.joints_for(command.tcp_pose_in_base, near_rad)
        if joints is None:
            raise CommandRejected(f"the UR5e does not reach {command.tcp_pose_in_base[:3].tolist()} that way")
        return self._in_range(joints)

    def _in_range(self, joints_rad: np.ndarray) -> np.ndarray:
        low, high = self.spec.joint_position_min_rad, self.spec.joint_position_max_rad
        if not ((low <= joints_rad) & (joints_rad <= high)).all():
            raise JointLimitExceeded(f"joints {joints_rad.tolist()} are not within one turn to each side")
        return joints_rad

    def _pass_time(self) -> None:
        """One step of the joint path; a stop ends it."""
        if self.context.clock.is_lockstep:
            self.context.clock.advance(_STEP_S)
        else:
            self._stopped.wait(_STEP_S)
        if self._stopped.is_set() or self._connection is None:
            raise MotionFailed("the joint motion was interrupted by stop() or disconnect() before it arrived")

    def _wait_until_settled(self, connection: Connection, goal: np.ndarray) -> None:
        for _ in range(round(_SETTLE_S / _STEP_S)):
            measured = connection.measure()
            away, speed = np.abs(measured.joints_rad - goal).max(), np.abs(measured.velocities_rad_s).max()
            if away < _ARRIVED_RAD and speed < _STILL_RAD_S:
                return
            self._pass_time()
        raise MotionFailed(f"the UR5e is still {away:.3f} rad from its joint target after {_SETTLE_S:g} s")
