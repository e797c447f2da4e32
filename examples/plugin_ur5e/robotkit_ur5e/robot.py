"""`Ur5eRobot`: the arm as robotkit sees it."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from robotkit import (
    CellContext,
    CommandRejected,
    JointLimitExceeded,
    Measurement,
    MotionFailed,
    PluginConfig,
    PoseCommand,
    RobotCommand,
    RobotSpec,
    StatefulRobotServer,
    Travel,
    spatial,
)
from robotkit.devices import ArmFault
from robotkit_ur5e import kinematics
from robotkit_ur5e.connection import Connection, Rtde, StandIn
from robotkit_ur5e.follower import Follower

HOME_RAD = np.array([2.84086, -1.60442, 2.10334, -2.06972, -1.5708, -1.87153])
"""Tool straight down, 30 cm over the table, 45 cm in front of the base."""

_STEP_S = 0.01
_SETTLE_S = 2.0
_ARRIVED_RAD = 0.01
_STILL_RAD_S = 0.02
_FRESH_S = 0.05
"""An older measurement does not tell where to brake."""
_THERE_RAD = 0.005
"""An arm that stands nearer to its set-point keeps it: what it sags by does not add up over holds."""


class Ur5eConfig(PluginConfig):
    """Options of the UR5e."""

    host: str | None = None
    """Address of the controller; without one a kinematic stand-in moves, which needs no package and no robot."""
    joint_speed_rad_s: float = Field(1.5, gt=0.0, le=np.pi)
    """No joint is asked to move faster, neither towards sent targets nor in joint motions."""
    tcp_speed_m_s: float = Field(0.75, gt=0.0, le=1.5)
    """The flange is not asked to move faster towards a sent pose."""
    tcp_speed_rad_s: float = Field(1.5, gt=0.0, le=np.pi)
    """Nor to turn faster."""


class Ur5eRobot(StatefulRobotServer):
    """A UR5e that is servoed in joint space; poses are approached with damped least squares, at bounded joint speed."""

    Config = Ur5eConfig

    def __init__(self, config: Ur5eConfig, context: CellContext) -> None:
        spec = RobotSpec(
            name="ur5e",
            joint_position_min_rad=np.full(kinematics.JOINTS, -2.0 * np.pi),
            joint_position_max_rad=np.full(kinematics.JOINTS, 2.0 * np.pi),
            joint_velocity_max_rad_s=np.full(kinematics.JOINTS, np.pi),
            reset_joint_positions_rad=HOME_RAD,
            command_kinds=("pose", "joint"),
            measures_wrench=config.host is not None,
            is_simulated=config.host is None,
            kinematics=kinematics.chain(),
        )
        super().__init__(config, context, spec)
        self._options = config
        self._connection: Connection = StandIn(HOME_RAD, context.clock)
        self._follower = self._following(HOME_RAD)

    def _open(self) -> ArmFault | None:
        host, clock = self._options.host, self.context.clock
        self._connection = Rtde(host, clock) if host else StandIn(HOME_RAD, clock)
        return self._find_fault()

    def _close(self) -> None:
        self._connection.close()

    def _measure(self) -> Measurement:
        """The wrench is turned into the tool's axes."""
        reading = self._connection.read()
        joints, velocities = reading.joints_rad, reading.velocities_rad_s
        pose, jacobian = kinematics.tcp_pose(joints), kinematics.jacobian(joints)
        wrench = spatial.rotate_vec6(spatial.inverse(pose)[3:], reading.wrench_in_base)
        return Measurement(reading.stamp_s, pose, jacobian @ velocities, wrench, joints, velocities, jacobian)

    def _find_fault(self) -> ArmFault | None:
        """A protective or an emergency stop, a lost connection: `_halt` leaves the arm to its controller then."""
        names = self._connection.faults()
        return self.machine.fault_of(names) if names else None

    def _clear_faults(self) -> None:
        self._connection.clear()

    def _start(self) -> None:
        """Servo from where the arm stands."""
        self._follower = self._following(self._connection.read().joints_rad)
        self._connection.servo(self._follower)

    def _follow(self, command: RobotCommand) -> RobotCommand:
        self._connection.read()  # what was asked before counts up to now
        if not isinstance(command, PoseCommand):
            self._follower.follow_joints(self._in_range(command.joint_positions_rad))
            return command
        joints = kinematics.joints_for(command.tcp_pose_in_base, self._follower.setpoint_rad)
        if joints is None:
            raise CommandRejected(
                f"the UR5e does not reach {command.tcp_pose_in_base.tolist()} from where it is: out of its reach, or "
                "behind a singularity. Choose a nearer target, or go there with a joint motion"
            )
        self._in_range(joints)
        self._follower.follow_pose(command.tcp_pose_in_base)
        return command

    def _hold(self) -> None:
        """In joint space: an arm that only takes joints cannot be held at a pose."""
        self._stand()

    def _halt(self) -> None:
        """Halt like a hold: the controller brakes as fast as its servo loop does, and by itself in a fault."""
        self._stand()
        if self._connection.faults():
            self._connection.servo(None)

    def _stand(self) -> None:
        """Return where the arm is by now, so that it does not press on what keeps it from its set-point.

        The newest set-point stays where the arm is there already, and without a fresh measurement: an old one would
        lead the arm back to where it was.
        """
        follower = self._follower
        follower.freeze()
        setpoint_rad = follower.setpoint_rad
        place_rad = self._place_by_now(setpoint_rad)
        if place_rad is not None and np.abs(place_rad - setpoint_rad).max() > _THERE_RAD:
            follower.stand_at(place_rad)

    def _place_by_now(self, setpoint_rad: np.ndarray) -> np.ndarray | None:
        """From the newest packet, which the arm has left by now towards its set-point; None of one that is old."""
        try:
            reading = self._connection.read()
        except Exception:  # whatever it is: there is no measurement
            return None
        age_s = max(0.0, self.context.clock.now_s() - reading.stamp_s)
        if age_s > _FRESH_S:
            return None
        measured_rad = reading.joints_rad
        low, high = np.minimum(measured_rad, setpoint_rad), np.maximum(measured_rad, setpoint_rad)
        place_rad: np.ndarray = np.clip(measured_rad + reading.velocities_rad_s * age_s, low, high)
        return place_rad

    def _travel(self, goal_rad: np.ndarray, travel: Travel) -> None:
        """Servo along a smooth path, then wait until the arm has settled."""
        with travel.moving():
            start = self._connection.read().joints_rad
        speed_rad_s, way_rad = self._options.joint_speed_rad_s, float(np.abs(goal_rad - start).max())
        steps = 1 + int(1.5 * max(way_rad / speed_rad_s, 1.0 / travel.rate_max_hz) / _STEP_S)
        for share in np.linspace(0.0, 1.0, steps + 1)[1:]:
            with travel.moving():
                self._follower.follow_joints(start + (goal_rad - start) * share * share * (3.0 - 2.0 * share))
            self._pass_time(travel)
        for _ in range(round(_SETTLE_S / _STEP_S)):
            reading = self._connection.read()
            away_rad, fastest = np.abs(reading.joints_rad - goal_rad).max(), np.abs(reading.velocities_rad_s).max()
            if away_rad < _ARRIVED_RAD and fastest < _STILL_RAD_S:
                return
            self._pass_time(travel)
        raise MotionFailed(f"the UR5e is still {away_rad:.3f} rad from its joint target after {_SETTLE_S:g} s")

    def _pass_time(self, travel: Travel) -> None:
        """One step of a joint motion; whatever takes its right to move ends it."""
        if self.context.clock.is_lockstep:
            self.context.clock.advance(_STEP_S)
        else:
            travel.wait(_STEP_S)
        travel.require()

    def _following(self, joints_rad: np.ndarray) -> Follower:
        options = self._options
        return Follower(joints_rad, options.joint_speed_rad_s, options.tcp_speed_m_s, options.tcp_speed_rad_s)

    def _in_range(self, joints_rad: np.ndarray) -> np.ndarray:
        low, high = self.spec.joint_position_min_rad, self.spec.joint_position_max_rad
        if not ((low <= joints_rad) & (joints_rad <= high)).all():
            raise JointLimitExceeded(
                f"joints {joints_rad.tolist()} are not within {low.tolist()} to {high.tolist()} rad"
            )
        return joints_rad
