"""An arm that obeys nothing of its own accord: it writes down what reaches it, and does what a test puts in its way."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np

import robotkit as rk
from robotkit.devices import ArmFault, CellContext, Measurement, StatefulRobotServer, Travel
from robotkit.drivers.fake import FakeRobot, ManualClock


class RecordingArm(StatefulRobotServer):
    """A body of the state machine without a law of its own.

    `calls` names its primitives in the order in which they were called; `on[name]` is called inside that primitive,
    after it was written down, and may raise, wait, or call the arm.
    """

    def __init__(self, **spec: object) -> None:
        context = CellContext(clock=ManualClock())
        fake = FakeRobot(FakeRobot.Config(), context)
        super().__init__(fake.config, context, fake.spec.model_copy(update=spec))
        self.calls: list[str] = []
        self.on: dict[str, Callable[[], object]] = {}
        self.joints_rad = self.spec.reset_joint_positions_rad.copy()
        self.fault: ArmFault | None = None
        """What the device reports until its faults are cleared."""

    @property
    def clock(self) -> ManualClock:
        assert isinstance(self.context.clock, ManualClock)
        return self.context.clock

    def _note(self, name: str) -> None:
        self.calls.append(name)
        self.on.get(name, lambda: None)()

    def _open(self) -> ArmFault | None:
        self._note("open")
        return self.fault

    def _close(self) -> None:
        self._note("close")

    def _measure(self) -> Measurement:
        self.on.get("measure", lambda: None)()
        pose = np.array((0.5, 0.0, 0.3, 1.0, 0.0, 0.0, 0.0))
        count = len(self.joints_rad)
        return Measurement(self.clock.now_s(), pose, np.zeros(6), np.zeros(6), self.joints_rad, np.zeros(count),
                           np.zeros((6, count)))  # fmt: skip

    def _follow(self, command: rk.RobotCommand) -> rk.RobotCommand:
        self._note("follow")
        return command

    def _hold(self) -> None:
        self._note("hold")

    def _halt(self) -> None:
        self._note("halt")

    def _start(self) -> None:
        self._note("start")

    def _travel(self, goal_rad: np.ndarray, travel: Travel) -> None:
        with travel.moving():
            self._note("travel")
        self.on.get("underway", lambda: None)()
        travel.require()

    def _clear_faults(self) -> None:
        self._note("clear")
        self.fault = None

    def _set_compliance(self, params: rk.ComplianceParams) -> None:
        self._note("compliance")

    def _find_fault(self) -> ArmFault | None:
        return self.fault


class PlainArm(rk.BaseRobotServer):
    """The contract alone: nothing is latched, a stop only ends a motion that has begun, and every call is recorded."""

    def __init__(self) -> None:
        self.body = RecordingArm()
        super().__init__(self.body.config, self.body.context)
        self.spec = self.body.spec
        self.calls: list[str] = []
        self.on: dict[str, Callable[[], object]] = {}
        self.connected = False
        self.mode: rk.RobotMode = "holding"
        self.joints_rad = self.spec.reset_joint_positions_rad.copy()

    def _note(self, name: str) -> None:
        self.calls.append(name)
        self.on.get(name, lambda: None)()

    @property
    def is_connected(self) -> bool:
        return self.connected

    def connect(self) -> None:
        self._note("connect")
        self.connected = True

    def disconnect(self) -> None:
        self._note("disconnect")
        self.connected = False

    def get_state(self) -> rk.RobotState:
        self.on.get("get_state", lambda: None)()
        measured = self.body._measure()._asdict()
        faults = ("torn",) if self.mode == "fault" else ()
        return rk.RobotState(**measured, mode=self.mode, faults=faults)

    def check(self, command: rk.RobotCommand) -> None:
        self.on.get("check", lambda: None)()

    def send(self, command: rk.RobotCommand) -> rk.RobotCommand:
        self._note("send")
        return command

    def move_to_joint_positions(self, positions_rad: np.ndarray) -> None:
        self._note("move")

    def set_compliance(self, params: rk.ComplianceParams) -> None:
        self._note("set_compliance")

    def stop(self) -> None:
        self._note("stop")

    def hold(self) -> None:
        self._note("hold")

    def recover(self) -> None:
        self._note("recover")

    def forget_target(self) -> None:
        self._note("forget_target")


class Broken(Exception):
    """What no driver should raise."""


def fail_with(error: BaseException) -> Callable[[], None]:
    """Something that raises `error`."""

    def fail() -> None:
        raise error

    return fail


def joint_command(arm: rk.BaseRobotServer, turn_rad: float = 0.01) -> rk.JointCommand:
    """A target near the arm's reset configuration."""
    return rk.JointCommand(joint_positions_rad=arm.spec.reset_joint_positions_rad + turn_rad)


class InThread:
    """A call in a thread of its own, and what it raised."""

    def __init__(self, call: Callable[[], object]) -> None:
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(call,), daemon=True)
        self._thread.start()

    def _run(self, call: Callable[[], object]) -> None:
        try:
            call()
        except BaseException as error:
            self.error = error

    def join(self) -> BaseException | None:
        """Wait for its end; what it raised."""
        self._thread.join(20.0)
        assert not self._thread.is_alive()
        return self.error


def connected_arm() -> RecordingArm:
    """One that has told nothing since it was connected."""
    arm = RecordingArm()
    arm.connect()
    arm.calls.clear()
    return arm


ERRORS = [rk.DeviceFault("the device has failed"), Broken("a fault of the driver")]
