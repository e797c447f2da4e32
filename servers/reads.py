"""`Reads`: clients' reads of a cell, each device in its own thread, so that a device that hangs hides no other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from robotkit.errors import DeviceFault
from robotkit.safety import SafeRobot
from robotkit.schema import CellState, DeviceReport, RobotState
from robotkit.workcell import Workcell, report_of
from servers.lanes import Lanes

DEVICE_S = 2.0
"""How long one measurement of a device may take on a clock that runs by itself; then the device is reported as one that
fails, until that measurement ends."""
_POLL_PERIOD_S = 0.1
"""How often a wait looks whether it takes too long."""
_LATE_LOOKS = 2
"""Looks in a row that find a wait too long; two, since this process may have overslept one, suspended."""
ARM_S = 0.2
"""Time without an answer after which an arm that is stopped or in a fault is told as it was measured last."""
_PAUSES = 5
"""Number of pauses in which a wait is counted: one that this process overslept, suspended, counts as what was asked
for."""
_GIVE_UP_S = 30.0
"""How long any other is waited for: in lock-step a first measurement may wait until the world is compiled."""
T = TypeVar("T")


class Reads:
    """Measurements for clients: for each device at most one runs and one waits, for any number of clients.

    Args:
        cell: what is read.
        lanes: the threads.
    """

    def __init__(self, cell: Workcell, lanes: Lanes) -> None:
        self._cell, self._lanes = cell, lanes
        self._is_lockstep = cell.clock.is_lockstep

    async def arm(self, at_once: bool = False) -> RobotState:
        """Measure the arm. Where that hangs, a stopped arm's state still comes: the last one, with its old stamp.

        Args:
            at_once: also that of an arm that may move; the answer is no older than the stamp in it says.

        Raises:
            DeviceError: it cannot be measured, or has not answered, and there is no earlier measurement.
        """
        robot = self._cell.robot
        measuring = self._lanes.arm.join(robot.get_state)
        waited_s = 0.0
        while not await _is_over(measuring, ARM_S):
            waited_s += ARM_S
            if isinstance(robot, SafeRobot) and (at_once or robot.machine.mode in ("stopped", "fault")):
                newest = robot.inner.newest_state()
                if newest is not None:
                    return newest
                at_once = True
            if at_once or waited_s >= _GIVE_UP_S:
                raise DeviceFault(f"arm {robot.spec.name!r} has not answered for {waited_s:.1f} s")
        return measuring.result()

    async def device(self, name: str, measure: Callable[[], T]) -> T:
        """Measure another device, such as the gripper, whose method `measure` is.

        Raises:
            DeviceFault: it has not answered in time.
        """
        limit_s = _GIVE_UP_S if self._is_lockstep else DEVICE_S
        measuring = self._lanes.devices.join(measure)
        late_looks = 0
        while not await _is_over(measuring, _POLL_PERIOD_S):
            late_looks = late_looks + 1 if self._lanes.devices.running_for_s(measure) > limit_s else 0
            if late_looks == _LATE_LOOKS:
                raise DeviceFault(f"{name} has not answered within {limit_s:g} s")
        return measuring.result()

    async def cell(self) -> CellState:
        """Measure everything but the cameras; a device that fails, or is late, is reported in its own place.

        Raises:
            DeviceError: the arm cannot be measured.
        """
        cell = self._cell
        if self._is_lockstep or not isinstance(cell.robot, SafeRobot):
            return await self._lanes.reads.run(cell.get_state)
        errors: dict[str, DeviceReport] = {}
        robot, gripper, *poses = await asyncio.gather(
            self.arm(),
            _nothing() if cell.gripper is None else self._reported("gripper", cell.gripper.get_state, errors),
            *(self._reported(f"trackers.{name}", one.get_pose, errors) for name, one in cell.trackers.items()),
        )
        cell.report_lost_command(errors)
        measured = {name: pose for name, pose in zip(cell.trackers, poses, strict=True) if pose is not None}
        return CellState.unchecked(
            robot=robot, gripper=gripper, poses=measured, accepted=None, errors=errors, overrun_s=0.0
        )

    async def _reported(self, name: str, measure: Callable[[], T], errors: dict[str, DeviceReport]) -> T | None:
        try:
            return await self.device(name, measure)
        except Exception as error:
            errors[name] = report_of(error)
        return None


async def _is_over(task: asyncio.Task[T], limit_s: float) -> bool:
    for _ in range(_PAUSES):
        if (await asyncio.wait((task,), timeout=limit_s / _PAUSES))[0]:
            return True
    return False


async def _nothing() -> None:
    return None
