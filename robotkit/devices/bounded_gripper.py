"""`BoundedGripper`: the one door to a gripper whose driver may take its time; nobody waits there without a bound."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from robotkit.aside import aside_logger
from robotkit.devices.bounded_calls import BoundedCalls, Overdue
from robotkit.devices.gripper import BaseGripperServer
from robotkit.devices.machine import ASKED_AT, ArmMachine, Moment
from robotkit.errors import DeviceFault, NotConnected
from robotkit.schema import GripperState

_LOG = aside_logger(__name__)

HANGS_S, READING_S, READY_S = 0.5, 2.0, 30.0
"""Time after which a gripper that has not taken its command hangs; how long it may take to be measured, and made
ready."""
LEFT_S = 0.5
"""How long a gripper may take its commands before its connection is closed."""
_GET_READY = "the gripper was told to get ready"


class BoundedGripper(BaseGripperServer):
    """Calls another gripper, and is what `Workcell.gripper` is where that one does not say `answers_at_once`.

    One command at a time is in its driver. The newest of the others waits behind it, 0.5 s at most, and is not carried
    out after a stop that is recovered, a recovery, a hold that somebody asks for or a disconnection that came since it
    was asked for. What fails, or has waited for too long, when nobody waits for it any more is told until the next one.

    Args:
        inner: the gripper.
        machine: of the arm in the same cell; None where it has none that could tell of its stops.
        wait_s: how long whoever commands waits.
    """

    answers_at_once = True

    def __init__(self, inner: BaseGripperServer, machine: ArmMachine | None, wait_s: float) -> None:
        super().__init__(inner.config, inner.context)
        self.inner, self._machine = inner, machine
        self.spec = inner.spec
        self._commands = BoundedCalls("the gripper was given a command", HANGS_S, min(HANGS_S, wait_s))
        self._readings = BoundedCalls("the gripper was asked for a measurement", READING_S)
        self._newest: GripperState | None = None
        self._disconnections = 0

    @property
    def activates_on_connect(self) -> bool:
        """True when the gripper activates on connect."""
        return self.inner.activates_on_connect

    @activates_on_connect.setter
    def activates_on_connect(self, activates: bool) -> None:
        self.inner.activates_on_connect = activates

    @property
    def is_connected(self) -> bool:
        """True when the gripper says that it is connected."""
        return self.inner.is_connected

    @property
    def unanswered(self) -> Overdue | None:
        """Why a command has not been taken, while one is in the driver."""
        return self._commands.unanswered

    @property
    def trouble(self) -> Exception | None:
        """Why the newest command was not taken: its driver hangs; or, until the next command, it failed or was lost."""
        return self._commands.overdue or self._commands.late_error

    def connect(self) -> None:
        """Connect the gripper; what commands of an earlier connection have come to is told no more."""
        if not self.inner.is_connected:
            self._commands.forget()
            self._newest = None
        self.inner.connect()
        self.spec = self.inner.spec

    def disconnect(self) -> None:
        """Disconnect the gripper once it has its commands; one that waits for longer is not carried out any more."""
        try:
            if not self._commands.wait_until_idle(LEFT_S):
                _LOG.warning("the gripper is disconnected, and its driver has not taken a command")
        finally:  # also where Ctrl+C ends the wait
            self._disconnections += 1
            self.inner.disconnect()

    def get_state(self) -> GripperState:
        """Measure, in another thread.

        A gripper that is made ready moves; one that measures nothing meanwhile is where it was measured last.

        Raises:
            DeviceFault: its driver has not answered within 2 s.
        """
        try:
            state = self._newest = self._readings.call(self.inner.get_state)
        except DeviceFault:
            if self._newest is None or not self._commands.takes_its_time:
                raise
            state = self._newest
        if self._commands.takes_its_time:
            return state.model_copy(update={"is_moving": True, "is_grasping": False})
        return state

    def tell(self, position: float) -> None:
        """`move` within a step, beside which an arm waits: what its driver has not taken by then is told by `trouble`.

        Raises:
            InvalidCommand: a position that the fingers cannot take.
            DeviceFault: its driver hangs with another command; this one will not be carried out.
        """
        self.inner.require_position(position)
        self._command(partial(self.inner.move, position), key=(position, self._disconnections))

    def move(self, position: float) -> None:
        """Start to move the fingers, and wait until the driver has the command.

        Raises:
            InvalidCommand: a position that the fingers cannot take.
            Overdue: its driver has not returned within 0.5 s; whether the fingers move is not known.
            DeviceFault: its driver is busy with another command; this one will not be carried out.
        """
        self.inner.require_position(position)
        self._command(partial(self.inner.move, position), HANGS_S)

    def open(self) -> None:
        """Start to open fully, as `move` does."""
        self._command(self.inner.open, HANGS_S)

    def close(self) -> None:
        """Start to close fully, as `move` does."""
        self._command(self.inner.close, HANGS_S)

    def activate(self) -> None:
        """Make it ready after power-up, and wait for that; `get_state` reports it as moving until it is.

        Raises:
            DeviceFault: its driver has not returned within 30 s.
        """
        self._command(self.inner.activate, READY_S, _GET_READY)

    def reset(self) -> None:
        """Clear faults and make it ready again, and wait for that, as `activate` does."""
        self._command(self.inner.reset, READY_S, _GET_READY)

    def _command(
        self,
        what: Callable[[], object],
        awaited_s: float | None = None,
        doing: str | None = None,
        key: object = None,
    ) -> None:
        asked_at = None if self._machine is None else ASKED_AT.get() or self._machine.moment
        require = partial(self._require_nothing_since, asked_at, self._disconnections)
        self._commands.command(what, require, awaited_s, doing, key)

    def _require_nothing_since(self, asked_at: Moment | None, disconnections: int) -> None:
        if disconnections != self._disconnections:
            raise NotConnected("the gripper was disconnected before it had taken its command")
        if self._machine is not None and asked_at is not None:
            self._machine.require_nothing_since(asked_at, commands_arm=False)
