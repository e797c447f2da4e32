"""`Workcell`: the devices of one cell behind one life cycle and one clock."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar

import numpy as np

from robotkit.by_name import ByName
from robotkit.clock import Clock
from robotkit.devices import BaseCamera, BaseGripperServer, BasePoseTracker, BaseRobotServer, BaseWorld, Device
from robotkit.devices.bounded_calls import BoundedCalls
from robotkit.devices.bounded_gripper import READING_S, BoundedGripper
from robotkit.devices.closing import Closing, Failures, do_each
from robotkit.devices.first_cause import noted_on, raise_first
from robotkit.devices.words import said_of
from robotkit.errors import DeviceFault, InvalidCommand, RobotkitError, TargetReplaced, Unsupported
from robotkit.safety.robot import SafeRobot, target_replaced
from robotkit.schema import (
    CellSpec,
    CellState,
    DeviceReport,
    GripperCommand,
    RobotCommand,
    SafetyLimits,
    StepRequest,
    TrackedPose,
)
from robotkit.schema.cell import PERIOD_MAX_S
from robotkit.schema.numbers import shown

T = TypeVar("T")

_MOVING = ("tracking", "travelling")
_HOLD_S = 0.2
"""How long the hold of an arm may take before the devices of its cell are closed."""


@dataclass
class Workcell:
    """A robot and the other devices of its cell.

    `robot` is already wrapped by the safety layer when the cell comes from `make_workcell`.
    """

    name: str
    clock: Clock
    robot: BaseRobotServer
    gripper: BaseGripperServer | None = None
    cameras: Mapping[str, BaseCamera] = field(default_factory=dict)
    trackers: Mapping[str, BasePoseTracker] = field(default_factory=dict)
    world: BaseWorld | None = None
    limits: SafetyLimits = field(default_factory=SafetyLimits)

    def __post_init__(self) -> None:
        self.cameras = ByName("camera", self.cameras)
        self.trackers = ByName("tracker", self.trackers)
        self._open: list[Device] | None = None
        self._closing = Closing()
        self._readings = {
            name: BoundedCalls(f"trackers.{name} was asked for a measurement", READING_S) for name in self.trackers
        }
        if self.world is not None:
            self.world.when_reset_by_another = self.robot.forget_target
        gripper = self.gripper
        # Where no time passes, nothing else moves while a gripper hangs.
        if gripper is not None and not gripper.answers_at_once and not self.clock.is_lockstep:
            machine = self.robot.machine if isinstance(self.robot, SafeRobot) else None
            # Else the watchdog would hold the arm while its command waits for the gripper.
            self.gripper = BoundedGripper(gripper, machine, 0.5 * (self.limits.watchdog_s or math.inf))

    @property
    def can_place_objects(self) -> bool:
        """True when `reset` can place objects."""
        return self.world is not None

    @property
    def is_connected(self) -> bool:
        """True between `connect()` and `disconnect()`."""
        return self._open is not None

    def devices(self) -> list[Device]:
        """Every device, in the order in which they are connected."""
        found: list[Device | None] = [self.world, self.robot, self.gripper]
        return [d for d in [*found, *self.cameras.values(), *self.trackers.values()] if d is not None]

    def connect(self) -> None:
        """Connect every device; when one fails, those already connected are disconnected again.

        Raises:
            Exception: as the `connect` of a device does; what its rollback raises are its notes.
        """
        if self._open is not None:
            return
        self._closing.require_over()
        opened: list[Device] = []
        try:
            _connect_each(self.devices(), opened)
        except BaseException as error:
            raise_first([("", error), *self.close_each(opened)])
        self._open = opened

    def disconnect(self) -> None:
        """Hold the arm if it moves, then disconnect every device in reverse order.

        One that fails keeps no other open. The others are waited for before the arm is disconnected, 1 s at most, and
        after it until 5 s are over.

        Raises:
            Overdue: one of them has not been disconnected by then.
            Exception: as the `disconnect` of a device does; of several errors the others are notes of the first. One
                that ends the program, such as Ctrl+C, is raised in place of any other.
        """
        opened, self._open = self._open, None
        if opened is not None:
            raise_first(self.close_each(opened))

    @contextmanager
    def only(self, *devices: Device | None) -> Iterator[list[Device]]:
        """Connect the world of a simulation, then `devices`; close them, and what the cell has open, at the end.

        What is appended to the list that it gives is closed with them, and like them within the bound of `disconnect`.
        """
        self._closing.require_over()
        opened: list[Device] = []
        failures: Failures = []
        try:
            _connect_each((device for device in (self.world, *devices) if device is not None), opened)
            yield opened
        except BaseException as error:
            failures.append(("", error))
        finally:
            failures += self.close_each(opened)
            do_each([(self.name, self.disconnect)], failures)
            raise_first(failures)

    def close_each(self, opened: Sequence[Device]) -> Failures:
        """Hold the arm if it moves, disconnect these devices, the last one first, and return what each has raised.

        As in `disconnect`, which is for all of them, no one is waited for without end.
        """
        hold = [("", self._hold_what_moves)] if self.robot in opened else []
        failures: Failures = []
        # A remote cell waits for no device of its own, and in lock-step nothing moves.
        if not isinstance(self.robot, SafeRobot) or self.clock.is_lockstep:
            do_each([*hold, *((d.context.name, d.disconnect) for d in reversed(opened))], failures)
            return failures
        beside = [device for device in reversed(opened) if device is not self.robot and device is not self.world]
        arm = self.robot if self.robot in opened else None
        world = [(self.world.context.name, self.world.disconnect)] if self.world in opened and self.world else []
        do_each([*hold, ("", lambda: failures.extend(self._closing.close(beside, arm))), *world], failures)
        return failures

    def _hold_what_moves(self) -> None:
        """Hold an arm that moves, in a thread of its own: a driver that hangs keeps nothing open.

        The calling thread does it where the process may have no more threads.
        """
        robot = self.robot
        if isinstance(robot, SafeRobot) and not self.clock.is_lockstep and robot.machine.mode in _MOVING:
            holder = threading.Thread(target=_quietly, args=(robot.hold,), name="robotkit-hold", daemon=True)
            try:
                holder.start()
            except RuntimeError:
                _quietly(robot.hold)
                return
            holder.join(_HOLD_S)

    def spec(self) -> CellSpec:
        """The specification of this cell."""
        return CellSpec(
            name=self.name,
            clock="lockstep" if self.clock.is_lockstep else "real",
            robot=self.robot.spec,
            gripper=self.gripper.spec if self.gripper else None,
            cameras={name: camera.spec for name, camera in self.cameras.items()},
            trackers=tuple(self.trackers),
            limits=self.limits,
            can_place_objects=self.can_place_objects,
        )

    def get_state(self) -> CellState:
        """Measure everything but the cameras.

        Raises:
            DeviceError: the arm cannot measure. Any other device that cannot is reported in `CellState.errors`.
        """
        return self._measure(None)

    def step(
        self,
        command: RobotCommand | None = None,
        gripper: GripperCommand | None = None,
        period_s: float = 0.0,
        target_epoch: int | None = None,
    ) -> CellState:
        """Send commands, let `period_s` pass, measure. In a remote cell this is one round trip.

        Everything is checked before anything is sent: after an error neither the arm nor the gripper has a new target.
        Two orders of events are left: what replaces the arm's target while the gripper is being told leaves the gripper
        with its new one, and the arm without; and the command of the arm waits for a gripper whose driver does not
        return, 0.5 s and half of `watchdog_s` at most. From 0.5 s on it is reported in `CellState.errors`.

        Args:
            command: for the arm.
            gripper: for the gripper.
            period_s: how long to wait, or to simulate, between sending and measuring.
            target_epoch: of the state from which the command was made; None does not ask.

        Raises:
            TargetReplaced: the arm's target is not that of `target_epoch` any more; nothing was sent.
            CommandRejected: nothing was sent and no time has passed.
            DeviceError: a device cannot take its command; nothing was sent.
        """
        period_s = checked_period(period_s)
        accepted = self.send(command, gripper, target_epoch)
        overrun_s = 0.0
        if period_s > 0.0:
            start_s = 0.0 if self.clock.is_lockstep else self.clock.now_s()
            self.clock.advance(period_s)
            overrun_s = 0.0 if self.clock.is_lockstep else max(0.0, self.clock.now_s() - start_s - period_s)
        return self._measure(accepted, overrun_s)

    def send(
        self, command: RobotCommand | None, gripper: GripperCommand | None = None, target_epoch: int | None = None
    ) -> RobotCommand | None:
        """Check both commands, then send both; returns the arm's as it was accepted.

        A command is of the target that the arm had when this was called, or of `target_epoch`: when a stop, a hold or a
        recovery comes before the arm has it, however long the gripper takes, it is refused. A gripper whose driver does
        not return is waited for 0.5 s, and half of `watchdog_s`, at most, and takes no further command until it does.

        Raises:
            CommandRejected, DeviceError: as `step`.
        """
        epoch = self._require_target(target_epoch)
        if gripper is not None:
            if self.gripper is None:
                raise Unsupported(f"cell {self.name!r} has no gripper; leave the gripper's command out")
            if not isinstance(gripper, GripperCommand):
                raise InvalidCommand(f"a command of the gripper is a GripperCommand(position=…), got {shown(gripper)}")
            if command is not None:
                self.robot.check(command)
                self._require_target(epoch)
            # First: a gripper that is lost or in a fault refuses here, before the arm has its target.
            tell = self.gripper.tell if isinstance(self.gripper, BoundedGripper) else self.gripper.move
            tell(gripper.position)
        if command is None:
            return None
        try:
            if isinstance(self.robot, SafeRobot):
                return self.robot.send(command, epoch)
            self._require_target(epoch)
            return self.robot.send(command)
        except TargetReplaced as error:
            waited_for = self.gripper.unanswered if isinstance(self.gripper, BoundedGripper) else None
            if gripper is not None and waited_for is not None:
                raise TargetReplaced(f"{error.message}. The arm's command waited: {waited_for.message}") from error
            raise

    def _require_target(self, target_epoch: int | None) -> int | None:
        """Refuse an epoch that is over; the epoch that counts from now on, None for one that costs a measurement."""
        robot = self.robot
        if isinstance(robot, SafeRobot):
            if target_epoch is None:
                return robot.target_epoch
            robot.require_target(target_epoch)
        elif target_epoch is not None and target_epoch != robot.target_epoch:
            raise target_replaced(target_epoch)
        return target_epoch

    def handle(self, request: StepRequest) -> CellState:
        """`step` for a request that came over the wire."""
        return self.step(request.command, request.gripper, request.period_s, request.target_epoch)

    def reset(self, seed: int | None = None, object_poses_in_base: Mapping[str, np.ndarray] | None = None) -> CellState:
        """Bring the cell to its start: the world if it has one, else the arm to its reset configuration.

        Args:
            seed: for whatever the world randomises itself.
            object_poses_in_base: pose (7,) by tracker name, for worlds that can place objects.

        Raises:
            Unsupported: objects were named, and this cell cannot place them.
            MotionFailed: the arm did not arrive.
        """
        if self.world is not None:
            self.world.reset(seed, object_poses_in_base or {})
            self.robot.forget_target()
        elif object_poses_in_base:
            raise Unsupported(
                f"cell {self.name!r} cannot place {', '.join(object_poses_in_base)}: it has no world that could; "
                "put the objects there by hand and reset without poses"
            )
        else:
            self.robot.reset()
        return self._measure(None)

    def _measure(self, accepted: RobotCommand | None, overrun_s: float = 0.0) -> CellState:
        robot = self.robot.get_state()
        errors: dict[str, DeviceReport] = {}
        gripper = None
        if self.gripper is not None:
            gripper = _reported("gripper", self.gripper.get_state, errors)
            self.report_lost_command(errors)
        poses: ByName[TrackedPose] = ByName("tracked pose", {})
        for name, tracker in self.trackers.items():
            is_quick = tracker.answers_at_once or self.clock.is_lockstep
            measure = tracker.get_pose if is_quick else partial(self._readings[name].call, tracker.get_pose)
            pose = _reported(f"trackers.{name}", measure, errors)
            if pose is not None:
                poses[name] = pose
        return CellState.unchecked(
            robot=robot, gripper=gripper, poses=poses, accepted=accepted, errors=errors, overrun_s=overrun_s
        )

    def report_lost_command(self, errors: dict[str, DeviceReport]) -> None:
        """Say in `errors` why the gripper has not taken its newest command, unless they say something of it already."""
        trouble = self.gripper.trouble if isinstance(self.gripper, BoundedGripper) else None
        if trouble is not None:
            errors.setdefault("gripper", report_of(trouble))

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        """The cell itself: devices have an identity, so a copied Gymnasium spec still means this very cell."""
        return self

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        with noted_on(error):
            self.disconnect()


def report_of(error: Exception) -> DeviceReport:
    """The report in place of a device that raises `error`."""
    if isinstance(error, RobotkitError):
        return DeviceReport(code=error.code, message=error.message)
    return DeviceReport(code=DeviceFault.code, message=said_of(error))


def _reported(name: str, measure: Callable[[], T], errors: dict[str, DeviceReport]) -> T | None:
    """Return what a device measures; whatever it raises goes into `errors` under its name instead."""
    try:
        return measure()
    except Exception as error:  # a driver's own too: the arm has moved, and its state is needed all the more
        errors[name] = report_of(error)
    return None


def checked_period(period_s: Any) -> float:
    """The time of a step in s, as `StepRequest` takes it.

    Raises:
        InvalidCommand: it is no number of seconds, or too long.
    """
    is_number = isinstance(period_s, (int, float, np.integer, np.floating)) and not isinstance(period_s, bool)
    if not (is_number and 0.0 <= period_s <= PERIOD_MAX_S):
        raise InvalidCommand(f"period_s must be a number of seconds from 0 to {PERIOD_MAX_S:g}, got {shown(period_s)}")
    return float(period_s)


def _quietly(call: Callable[[], object]) -> None:
    with suppress(BaseException):  # the arm's own disconnect() comes after it, and says what fails
        call()


def _connect_each(devices: Iterable[Device], opened: list[Device]) -> None:
    """Connect devices, and put into `opened` what there is to close: those connected, and one at which Ctrl+C came."""
    for device in devices:
        opened.append(device)  # first: Ctrl+C may come when it has just been connected
        try:
            device.connect()
        except Exception:
            opened.pop()
            raise
