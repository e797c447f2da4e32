"""`FakeRobot`: an arm that follows its targets with a first-order lag."""

from __future__ import annotations

import threading
from collections import deque

import numpy as np
from pydantic import Field

from robotkit.devices import BaseRobotServer, CellContext
from robotkit.drivers.fake import kinematics
from robotkit.drivers.fake.motion import Motion, Path, Tracking
from robotkit.drivers.fake.world import fake_world
from robotkit.errors import CommandRejected, DeviceFault, JointLimitExceeded, MotionFailed, RobotStopped
from robotkit.schema import (
    ComplianceParams,
    PluginConfig,
    PoseCommand,
    RobotCommand,
    RobotMode,
    RobotSpec,
    RobotState,
)

_HOME = (0.5, 0.0, 0.3, np.pi, 0.0, 0.0)
_STILL = 1e-3
"""An arm whose joints are slower than this (m/s, rad/s) counts as arrived."""
_TICK_S = 0.01


class FakeRobotConfig(PluginConfig):
    """Options of the fake arm."""

    dof: int = Field(7, ge=6, le=16)
    """Number of joints; those beyond the sixth move nothing."""
    time_constant_s: float = Field(0.05, gt=0.0)
    """Lag behind a target: after this long 63 % of the way is done."""
    latency_s: float = Field(0.0, ge=0.0)
    """Time between `send` and the first movement."""
    joint_speed_rad_s: float = Field(1.0, gt=0.0)
    """Mean speed of the blocking joint motion."""
    fault_after_s: float | None = Field(None, ge=0.0)
    """The arm reports a fault this long after `connect()`; `recover()` clears it for good."""


class FakeRobot(BaseRobotServer):
    """A gantry with a wrist (`kinematics`), whose state is a closed function of the commands and the cell's clock."""

    Config = FakeRobotConfig

    def __init__(self, config: FakeRobotConfig, context: CellContext) -> None:
        super().__init__(config, context)
        self._options = config
        home = np.array((*_HOME, *np.zeros(config.dof - 6)))
        self.spec = RobotSpec(
            name="fake",
            joint_position_min_rad=np.full(config.dof, -2 * np.pi),
            joint_position_max_rad=np.full(config.dof, 2 * np.pi),
            joint_velocity_max_rad_s=np.full(config.dof, 10.0),
            reset_joint_positions_rad=home,
            command_kinds=("pose", "joint"),
        )
        self.compliance = ComplianceParams()
        self._lock = threading.RLock()
        self._interrupt = threading.Event()
        self._motion: Motion = Tracking(home, home, 0.0, config.time_constant_s)
        self._pending: deque[tuple[float, RobotCommand]] = deque()
        self._wrench_in_tcp = np.zeros(6)
        self._faults: tuple[str, ...] = ()
        self._fault_due_s: float | None = None
        self._frozen_s: float | None = None
        self._stopped = self._connected = False
        world = fake_world(context)
        if world is not None:
            world.call_on_reset(self._snap_home)

    @property
    def is_connected(self) -> bool:
        """True between `connect()` and `disconnect()`."""
        return self._connected

    def connect(self) -> None:
        """Start to measure; the arm holds where it is."""
        if self._connected:
            return
        self._connected = True
        if self._options.fault_after_s is not None:
            self._fault_due_s = self._now_s() + self._options.fault_after_s
        self._hold_at(self._now_s())

    def disconnect(self) -> None:
        """Hold still and stop measuring."""
        if self._connected:
            self._interrupt.set()
            self._hold_at(self._now_s())
            self._connected = False

    def get_state(self) -> RobotState:
        """What the arm measures now."""
        self.require_connected()
        with self._lock:
            now_s = self._now_s() if self._frozen_s is None else self._frozen_s
            joints, velocities = self._joints_at(now_s)
            jacobian = kinematics.jacobian(joints)
            return RobotState.trusted(
                stamp_s=now_s,
                tcp_pose_in_base=kinematics.tcp_pose(joints),
                tcp_twist_in_base=jacobian @ velocities,
                wrench_in_tcp=self._wrench_in_tcp,
                joint_positions_rad=joints,
                joint_velocities_rad_s=velocities,
                jacobian_in_base=jacobian,
                mode=self._mode(velocities, now_s),
                faults=self._faults,
                control_success_rate=1.0,
            )

    def send(self, command: RobotCommand) -> RobotCommand:
        """Follow `command` from now on (after `latency_s`)."""
        with self._lock:
            self._require_ready()
            if isinstance(self._motion, Path) and self._now_s() < self._motion.start_s + self._motion.duration_s:
                raise CommandRejected("a blocking joint motion is running; wait for it, or stop() it first")
            self._pending.append((self._now_s() + self._options.latency_s, command))
            self._joints_at(self._now_s())
        return command

    def move_to_joint_positions(self, positions_rad: np.ndarray) -> None:
        """Move along a smooth joint path; in lock-step the clock is advanced until the arm has arrived."""
        goal = np.array(positions_rad, dtype=np.float64)
        with self._lock:
            self._require_ready()
            self._require_in_range(goal)
            start = self._hold_at(self._now_s())
            duration_s = max(_TICK_S, float(np.abs(goal - start).max()) / self._options.joint_speed_rad_s)
            self._interrupt.clear()
            path = self._motion = Path(start, goal, self._now_s(), duration_s)
        while self._motion is path and self._now_s() < path.start_s + duration_s:
            self._let_time_pass()
        if self._motion is not path:
            raise MotionFailed("the joint motion was interrupted by stop(), a fault or disconnect() before it arrived")

    def set_compliance(self, params: ComplianceParams) -> None:
        """Remember the parameters; the lag does not depend on them."""
        self.require_connected()
        self.compliance = params

    def stop(self) -> None:
        """Hold still and refuse commands until `recover()`."""
        with self._lock:
            self._stopped = True
            self._interrupt.set()
            self._hold_at(self._now_s())

    def recover(self) -> None:
        """Clear a stop and every injected fault; hold the measured configuration."""
        self.require_connected()
        with self._lock:
            self._joints_at(self._now_s())
            self._stopped, self._faults, self._fault_due_s = False, (), None
            self._hold_at(self._now_s())

    def hold(self) -> None:
        """Make the measured configuration the target."""
        with self._lock:
            self.require_connected()
            self._hold_at(self._now_s())

    def inject_fault(self, *names: str) -> None:
        """Report these faults until `recover()`; the arm holds still."""
        with self._lock:
            self._faults = names
            self._interrupt.set()
            self._hold_at(self._now_s())

    def inject_wrench(self, wrench_in_tcp: np.ndarray) -> None:
        """Measure this wrench (6,) from now on: N, then Nm, in the tool frame."""
        self._wrench_in_tcp = np.array(wrench_in_tcp, dtype=np.float64)

    def inject_silence(self, is_silent: bool) -> None:
        """Go on (False) or stop (True) measuring: a silent arm repeats its last measurement with its old stamp."""
        self._frozen_s = self._now_s() if is_silent else None

    def _now_s(self) -> float:
        return self.context.clock.now_s()

    def _let_time_pass(self) -> None:
        if self.context.clock.is_lockstep:
            self.context.clock.advance(_TICK_S)
        else:
            self._interrupt.wait(_TICK_S)

    def _require_ready(self) -> None:
        self.require_connected()
        self._joints_at(self._now_s())
        if self._stopped:
            raise RobotStopped("the fake arm is stopped; call recover() when it is safe to move again")
        if self._faults:
            raise DeviceFault(f"the fake arm reports {', '.join(self._faults)}; call recover() to clear it")

    def _require_in_range(self, goal: np.ndarray) -> None:
        low, high = self.spec.joint_position_min_rad, self.spec.joint_position_max_rad
        if goal.shape != low.shape or not ((low <= goal) & (goal <= high)).all():
            raise JointLimitExceeded(f"joint target {goal.tolist()} is not within {low.tolist()} to {high.tolist()}")

    def _joints_at(self, time_s: float) -> tuple[np.ndarray, np.ndarray]:
        """Positions and velocities at `time_s`, after the commands and faults that were due by then."""
        while self._pending and self._pending[0][0] <= time_s:
            due_s, command = self._pending.popleft()
            start = self._motion.at(due_s)[0]
            self._motion = Tracking(start, self._goal(command, start), due_s, self._options.time_constant_s)
        if self._fault_due_s is not None and time_s >= self._fault_due_s:
            self._fault_due_s = None
            self.inject_fault("fault_after_s")
        return self._motion.at(time_s)

    @staticmethod
    def _goal(command: RobotCommand, near: np.ndarray) -> np.ndarray:
        if isinstance(command, PoseCommand):
            return kinematics.joints_for(command.tcp_pose_in_base, near)
        return command.joint_positions_rad

    def _hold_at(self, time_s: float) -> np.ndarray:
        """Drop what is pending and stay where the arm is; returns the joints (n,)."""
        joints = self._joints_at(time_s)[0]
        self._pending.clear()
        self._motion = Tracking(joints, joints, time_s, self._options.time_constant_s)
        return joints

    def _mode(self, velocities: np.ndarray, now_s: float) -> RobotMode:
        if self._faults:
            return "fault"
        if self._stopped:
            return "stopped"
        return "moving" if self._pending or np.abs(velocities).max() > _STILL else "holding"

    def _snap_home(self) -> None:
        with self._lock:
            home = self.spec.reset_joint_positions_rad
            self._pending.clear()
            self._motion = Tracking(home, home, self._now_s(), self._options.time_constant_s)
