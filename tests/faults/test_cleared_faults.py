"""Laws of a look at the device across a recovery: no fault of before is latched after it, and no later one is lost."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

import robotkit as rk
from robotkit.devices import AdaptedRobot, CellContext, StatefulRobotServer
from robotkit.drivers.fake import FakeRobot, ManualClock
from tests.faults.arms import NaiveRobot, put_under
from tests.faults.scheduler import Scheduler, every_schedule
from tests.support.recording_arm import RecordingArm


class Device:
    """An arm whose device is broken and mended by a test; a point follows each look at it."""

    robot: StatefulRobotServer
    look: str
    """The method with which the arm looks at the device."""

    def break_it(self) -> None:
        raise NotImplementedError

    def put_under(self, scheduler: Scheduler) -> None:
        put_under(self.robot, scheduler)
        look = getattr(self.robot, self.look)

        def look_before_a_point() -> object:
            found = look()
            scheduler.point()
            return found

        setattr(self.robot, self.look, look_before_a_point)


class Told(Device):
    """The body tells its fault."""

    look = "_find_fault"

    def __init__(self) -> None:
        self.robot = RecordingArm()
        self.robot.connect()

    def break_it(self) -> None:
        self.robot.fault = self.robot.machine.fault_of(("torn",))


class Unmeasured(Device):
    """The body cannot be measured."""

    look = "_measure"

    def __init__(self) -> None:
        self.robot = RecordingArm()
        self.robot.connect()
        self.robot.get_state()
        self.robot.on["clear"] = lambda: self.robot.on.pop("measure", None)

    def break_it(self) -> None:
        def fail() -> None:
            raise rk.ConnectionFailed("no packet")

        self.robot.on["measure"] = fail

    def put_under(self, scheduler: Scheduler) -> None:
        super().put_under(scheduler)
        failed = self.robot.machine.fault_of

        def fault_of(*args: object) -> object:  # between the failure and what is made of it
            scheduler.point()
            return failed(*args)

        self.robot.machine.fault_of = fault_of


class Foreign(Device):
    """An arm of a newcomer tells its fault in its state."""

    def __init__(self) -> None:
        self.inner = NaiveRobot()
        self.robot = AdaptedRobot(self.inner)
        self.robot.connect()

    def break_it(self) -> None:
        self.inner.faults = ("torn",)

    def put_under(self, scheduler: Scheduler) -> None:
        put_under(self.robot, scheduler)
        get_state = self.inner.get_state

        def get_state_before_a_point() -> rk.RobotState:
            state = get_state()
            scheduler.point()
            return state

        self.inner.get_state = get_state_before_a_point


class Timed(Device):
    """The fake arm fails at a time."""

    look = "_find_fault"

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.robot = FakeRobot(FakeRobot.Config(fault_after_s=1.0), CellContext(clock=self.clock))
        self.robot.connect()
        self.robot._fault_due_s = math.inf

    def break_it(self) -> None:
        self.robot._fault_due_s = self.clock.now_s()


DEVICES: dict[str, Callable[[], Device]] = {
    "told": Told, "unmeasured": Unmeasured, "foreign": Foreign, "timed": Timed,
}  # fmt: skip
LOOKS: dict[str, Callable[[StatefulRobotServer], object]] = {
    "state": lambda robot: robot.get_state(),
    "command": lambda robot: robot.send(
        rk.JointCommand(joint_positions_rad=robot.spec.reset_joint_positions_rad + np.full(7, 0.01))
    ),
}


@pytest.mark.parametrize("latched", ["fault", "stop"])
@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("device", DEVICES)
def test_a_fault_that_was_seen_before_a_recovery_is_not_latched_after_it(device, look, latched):
    count = 0
    for scheduler in every_schedule():
        broken = DEVICES[device]()
        robot = broken.robot
        if latched == "stop":
            robot.stop()
        broken.break_it()
        if latched == "fault":
            assert robot.get_state().mode == "fault"
        broken.put_under(scheduler)
        errors = scheduler.run(("recover", robot.recover), ("look", lambda robot=robot: LOOKS[look](robot)))
        assert errors["recover"] is None
        assert errors["look"] is None or isinstance(errors["look"], rk.RobotkitError)
        assert robot.machine.fault is None
        assert robot.get_state().mode in ("holding", "tracking")
        count += 1
    assert count > 1


@pytest.mark.parametrize("device", DEVICES)
def test_a_fault_that_comes_after_a_recovery_is_latched_whoever_looked_before(device):
    for scheduler in every_schedule():
        broken = DEVICES[device]()
        robot = broken.robot
        broken.break_it()
        assert robot.get_state().mode == "fault"
        broken.put_under(scheduler)

        def recover_and_break(robot: StatefulRobotServer = robot, broken: Device = broken) -> None:
            robot.recover()
            broken.break_it()

        errors = scheduler.run(("recover", recover_and_break), ("look", lambda robot=robot: robot.get_state()))
        assert errors["recover"] is None
        assert robot.get_state().mode == "fault"
        robot.recover()
        assert robot.get_state().mode == "holding"
