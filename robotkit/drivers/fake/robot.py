"""`FakeRobot`: an arm that follows its targets with a first-order lag."""

from __future__ import annotations

import threading

import numpy as np
from pydantic import Field

from robotkit.devices import ArmFault, CellContext, Measurement, StatefulRobotServer, Travel
from robotkit.drivers.fake import kinematics
from robotkit.drivers.fake.chain import chain
from robotkit.drivers.fake.motion import PATH_PEAK, Motion, Path, Tracking
from robotkit.drivers.fake.world import fake_world
from robotkit.schema import ComplianceParams, PluginConfig, PoseCommand, RobotCommand, RobotSpec

_HOME = (0.5, 0.0, 0.3, np.pi, 0.0, 0.0)
_TICK_S = 0.01


class FakeRobotConfig(PluginConfig):
    """Options of the fake arm."""

    dof: int = Field(7, ge=6, le=16)
    """Number of joints; those beyond the sixth move nothing."""
    time_constant_s: float = Field(0.05, gt=0.0, le=1e6)
    """Lag behind a target: after this long 63 % of the way is done."""
    latency_s: float = Field(0.0, ge=0.0, le=60.0)
    """Time between `send` and the first movement."""
    joint_speed_rad_s: float = Field(1.0, gt=0.0, le=100.0)
    """Mean speed of the blocking joint motion."""
    fault_after_s: float | None = Field(None, ge=0.0, le=1e6)
    """The arm reports a fault this long after `connect()`; `recover()` clears it for good."""


class FakeRobot(StatefulRobotServer):
    """A gantry with a wrist (`kinematics`), whose state is a closed function of the commands and the cell's clock."""

    Config = FakeRobotConfig

    def __init__(self, config: FakeRobotConfig, context: CellContext) -> None:
        home = np.array((*_HOME, *np.zeros(config.dof - 6)))
        spec = RobotSpec(
            name="fake",
            joint_position_min_rad=np.full(config.dof, -2 * np.pi),
            joint_position_max_rad=np.full(config.dof, 2 * np.pi),
            joint_velocity_max_rad_s=np.full(config.dof, 10.0),
            reset_joint_positions_rad=home,
            command_kinds=("pose", "joint"),
            is_simulated=True,
            kinematics=chain(config.dof),
        )
        super().__init__(config, context, spec)
        self._options = config
        self._compliance = ComplianceParams()
        self._lock = threading.RLock()  # of the motion alone: a state can be read while a command is under way
        self._motion: Motion = Tracking(home, home, 0.0, config.time_constant_s)
        self._pending: tuple[tuple[float, RobotCommand], ...] = ()
        self._wrench_in_tcp = np.zeros(6)
        self._fault_due_s: float | None = None
        self._frozen_s: float | None = None
        world = fake_world(context)
        if world is not None:
            world.call_on_reset(self._snap_home)

    def inject_fault(self, *names: str) -> None:
        """Report these faults until `recover()`; the arm holds still."""
        with self.machine.lock:
            self._hold()
            self._latch(self.machine.fault_of(names))

    def inject_wrench(self, wrench_in_tcp: np.ndarray) -> None:
        """Measure this wrench (6,) from now on: N, then Nm, in the tool frame."""
        self._wrench_in_tcp = np.array(wrench_in_tcp, dtype=np.float64)

    def inject_silence(self, is_silent: bool) -> None:
        """Go on (False) or stop (True) measuring: a silent arm repeats its last measurement with its old stamp."""
        self._frozen_s = self._now_s() if is_silent else None

    def _open(self) -> None:
        if self._options.fault_after_s is not None:
            self._fault_due_s = self._now_s() + self._options.fault_after_s

    def _close(self) -> None:
        """Close nothing: there is no connection."""

    def _measure(self) -> Measurement:
        now_s = self._now_s() if self._frozen_s is None else self._frozen_s
        joints, velocities = self._joints_at(now_s)
        jacobian = kinematics.jacobian(joints)
        return Measurement(
            now_s, kinematics.tcp_pose(joints), jacobian @ velocities, self._wrench_in_tcp, joints, velocities, jacobian
        )

    def _follow(self, command: RobotCommand) -> RobotCommand:
        """Follow `command` from now on (after `latency_s`)."""
        with self._lock:
            self._pending = (*self._pending, (self._now_s() + self._options.latency_s, command))
            self._joints_at(self._now_s())
        return command

    def _hold(self) -> None:
        self._hold_at(self._now_s())

    def _halt(self) -> None:
        self._hold_at(self._now_s())

    def _travel(self, goal_rad: np.ndarray, travel: Travel) -> None:
        """Move along a smooth joint path; in lock-step the clock is advanced until the arm has arrived."""
        with travel.moving(), self._lock:
            start = self._hold_at(self._now_s())
            way = float(np.abs(goal_rad - start).max())
            duration_s = max(_TICK_S, way / self._options.joint_speed_rad_s, PATH_PEAK / travel.rate_max_hz)
            self._motion = Path(start, goal_rad, self._now_s(), duration_s)
            end_s = self._now_s() + duration_s
        while not travel.is_over and self._now_s() < end_s:
            if self.context.clock.is_lockstep:
                self.context.clock.advance(_TICK_S)
            else:
                travel.wait(_TICK_S)
        travel.require()

    def _clear_faults(self) -> None:
        self._fault_due_s = None

    def _set_compliance(self, params: ComplianceParams) -> None:
        """The lag does not depend on it."""

    def _find_fault(self) -> ArmFault | None:
        with self._lock:
            due_s = self._fault_due_s
            if due_s is None or self._now_s() < due_s or not self.is_connected or self.machine.fault is not None:
                return None
            self._hold_at(due_s)
        return self.machine.fault_of(("fault_after_s",))

    def _now_s(self) -> float:
        return self.context.clock.now_s()

    def _joints_at(self, time_s: float) -> tuple[np.ndarray, np.ndarray]:
        """Positions and velocities at `time_s`, after the commands that were due by then."""
        with self._lock:
            while (pending := self._pending) and pending[0][0] <= time_s:
                due_s, command = pending[0]
                start = self._motion.at(due_s)[0]
                motion = Tracking(start, self._goal(command, start), due_s, self._options.time_constant_s)
                if pending is self._pending:  # else a stop from a signal handler has dropped it meanwhile
                    self._motion, self._pending = motion, pending[1:]
            return self._motion.at(time_s)

    @staticmethod
    def _goal(command: RobotCommand, near: np.ndarray) -> np.ndarray:
        if isinstance(command, PoseCommand):
            return kinematics.joints_for(command.tcp_pose_in_base, near)
        return command.joint_positions_rad

    def _hold_at(self, time_s: float) -> np.ndarray:
        """Drop what is pending and stay where the arm is; returns the joints (n,)."""
        with self._lock:
            joints = self._joints_at(time_s)[0]
            self._pending = ()
            self._motion = Tracking(joints, joints, time_s, self._options.time_constant_s)
            return joints

    def _snap_home(self) -> None:
        with self.machine.lock:
            home = self.spec.reset_joint_positions_rad
            with self._lock:
                self._pending = ()
                self._motion = Tracking(home, home, self._now_s(), self._options.time_constant_s)
            self.forget_target()
