"""The arms whose interleavings are tried: each body alone, each with time that passes only when it is told to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

import robotkit as rk
from robotkit.devices import AdaptedRobot, CellContext, StatefulRobotServer
from robotkit.drivers.fake import FakeRobot, ManualClock, kinematics
from tests.faults.scheduler import ScheduledLock, Scheduler

_PRIMITIVES = (
    "_open", "_close", "_follow", "_hold", "_halt", "_start", "_clear_faults", "_measure", "_set_compliance",
)  # fmt: skip


class NaiveRobot(rk.BaseRobotServer):
    """An arm of a newcomer: it jumps to its targets, latches nothing, and checks nothing."""

    def __init__(self) -> None:
        super().__init__(rk.PluginConfig(), CellContext(clock=ManualClock()))
        self.spec = FakeRobot(FakeRobot.Config(), self.context).spec
        self.joints = self.spec.reset_joint_positions_rad.copy()
        self.moves: list[str] = []
        self.is_connected_ = False
        self.faults: tuple[str, ...] = ()
        self.is_stopped_in_motion = False
        self.point: Callable[[], None] = lambda: None

    @property
    def is_connected(self) -> bool:
        return self.is_connected_

    def connect(self) -> None:
        self.is_connected_ = True

    def disconnect(self) -> None:
        self.is_connected_ = False

    def get_state(self) -> rk.RobotState:
        self.require_connected()
        count = len(self.joints)
        return rk.RobotState(
            stamp_s=self.context.clock.now_s(), tcp_pose_in_base=kinematics.tcp_pose(self.joints),
            tcp_twist_in_base=np.zeros(6), wrench_in_tcp=np.zeros(6), joint_positions_rad=self.joints,
            joint_velocities_rad_s=np.zeros(count), jacobian_in_base=np.zeros((6, count)),
            mode="fault" if self.faults else "holding", faults=self.faults,
        )  # fmt: skip

    def send(self, command: rk.RobotCommand) -> rk.RobotCommand:
        self.moves.append("send")
        return command

    def move_to_joint_positions(self, positions_rad: np.ndarray) -> None:
        self.is_stopped_in_motion = False
        for _ in range(3):
            self.point()
            if self.is_stopped_in_motion:
                raise rk.MotionFailed("stopped on the way")
            self.moves.append("travel")

    def set_compliance(self, params: rk.ComplianceParams) -> None:
        """Nothing to set."""

    def stop(self) -> None:
        self.is_stopped_in_motion = True
        self.moves.append("stop")

    def hold(self) -> None:
        self.moves.append("hold")

    def recover(self) -> None:
        self.point()
        self.faults = ()


@dataclass
class Arm:
    """An arm under a scheduler."""

    robot: StatefulRobotServer
    pass_time: Callable[[], None]
    """Let a second pass."""
    put_under: Callable[[Scheduler], None]

    @property
    def joints(self) -> np.ndarray:
        return self.robot.get_state().joint_positions_rad


def put_under(robot: StatefulRobotServer, scheduler: Scheduler) -> None:
    """Let `scheduler` decide who goes on wherever this arm waits for a lock or calls its device."""
    robot.machine.lock = ScheduledLock(scheduler)
    robot._opening = ScheduledLock(scheduler)

    def await_at_a_point(is_over: Callable[[], bool], deadline_s: float) -> bool:
        scheduler.point(is_over)  # no time passes, so no deadline does
        return True

    robot._halts._await = await_at_a_point
    robot._halts.repeat = lambda: None  # nothing is repeated after a time that does not pass
    for name in _PRIMITIVES:
        setattr(robot, name, _with_point(getattr(robot, name), scheduler))


def _with_point(method: Callable, scheduler: Scheduler) -> Callable:
    def call(*args: object) -> object:
        scheduler.point()
        return method(*args)

    return call


def fake_arm() -> Arm:
    clock = ManualClock()
    robot = FakeRobot(FakeRobot.Config(), CellContext(clock=clock))
    robot.connect()
    advance = clock.advance

    def put_this_under(scheduler: Scheduler) -> None:
        put_under(robot, scheduler)

        def advance_with_point(period_s: float) -> None:
            scheduler.point()
            advance(period_s)

        clock.advance = advance_with_point

    return Arm(robot, lambda: advance(1.0), put_this_under)


def naive_arm() -> Arm:
    inner = NaiveRobot()
    robot = AdaptedRobot(inner)
    robot.connect()

    def put_this_under(scheduler: Scheduler) -> None:
        put_under(robot, scheduler)
        inner.point = scheduler.point

    return Arm(robot, lambda: inner.context.clock.advance(1.0), put_this_under)


ARMS: dict[str, Callable[[], Arm]] = {"fake": fake_arm, "adapted": naive_arm}
