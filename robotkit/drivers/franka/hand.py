"""`FrankaHand`: the two-fingered hand on the arm's flange, through the control box."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import franky

from robotkit.devices import BaseGripperServer, CellContext
from robotkit.drivers.franka.config import FrankaHandConfig
from robotkit.drivers.franka.faults import translated
from robotkit.drivers.franka.hand_commands import HandCommands, Wish
from robotkit.drivers.franka.opening import opened_within
from robotkit.drivers.polling import Poller, Source
from robotkit.errors import DeviceFault
from robotkit.schema import GripperSpec, GripperState

_OPEN_S = 3.0
_CONNECTION_S = 10.0
"""A command that still runs on an earlier connection keeps the hand from taking another."""
_MAX_AGE_S = 0.5
"""The hand reports about 30 times a second."""
_ANY_WIDTH_M = 1.0
_HOMED_M = 0.01
"""A hand that was not homed since power-up reports a smaller largest width."""
_EMPTY_M = 0.0005
"""Fingers nearer than this hold nothing, whatever the hand says of a grasp that any width satisfies."""


@dataclass(frozen=True)
class Reading:
    """One packet of the hand."""

    asked_s: float
    """When the reading thread began to wait for it, on the monotonic clock."""
    stamp_s: float
    width_m: float
    is_homed: bool
    is_grasped: bool


class FrankaHand(BaseGripperServer):
    """One thread reads the hand, others give it commands, which take a second each; the newest command wins.

    Closing is a grasp that any width satisfies, so that what is held is pressed with `force_n`; every other position is
    a plain move. `raw` is the distance between the fingers in metres. A lost connection is opened again without moving
    anything; a command that was lost with it is reported until there is another.
    """

    Config = FrankaHandConfig
    answers_at_once = True

    def __init__(self, config: FrankaHandConfig, context: CellContext) -> None:
        super().__init__(config, context)
        self._options = config
        self.spec = GripperSpec(name="franka_hand", width_max_m=config.width_max_m)
        self._commands = HandCommands()
        line = _Line(config, context, self._commands)
        self._poller: Poller[Reading] = Poller(line, f"franka hand {context.name!r}", max_age_s=_MAX_AGE_S)
        self._wanted_m: float | None = None

    @property
    def is_connected(self) -> bool:
        """True between `connect()` and `disconnect()`."""
        return self._poller.is_running

    def connect(self) -> None:
        """Connect without moving the fingers; a hand that was not homed since power-up needs `activate()` first."""
        if self.is_connected:
            return
        self._wanted_m = None
        self._poller.start(wait_s=_OPEN_S)
        self._commands.start()

    def disconnect(self) -> None:
        """Close the connection; the hand goes on holding what it holds."""
        self._commands.stop()
        self._poller.stop()

    def get_state(self) -> GripperState:
        """The newest packet; `raw` is the distance between the fingers in metres.

        Raises:
            DeviceFault: the newest command was accepted, but not carried out.
        """
        self.require_connected()
        reading, width_max_m = self._poller.newest(), self.spec.width_max_m
        if (failure := self._commands.failure) is not None:
            raise DeviceFault(f"Franka hand: {failure}. Look at the fingers, then command them again")
        is_moving = self._commands.is_busy or reading.asked_s < self._commands.ended_s
        target_m = reading.width_m if self._wanted_m is None else self._wanted_m
        return GripperState.unchecked(
            stamp_s=reading.stamp_s,
            position=min(1.0, max(0.0, reading.width_m / width_max_m)),
            target_position=min(1.0, target_m / width_max_m),
            width_m=reading.width_m,
            is_moving=is_moving,
            is_grasping=not is_moving and reading.is_grasped and reading.width_m > _EMPTY_M,
            raw=reading.width_m,
        )

    def move(self, position: float) -> None:
        """Leave a new target for the hand.

        Raises:
            StaleState: the hand does not answer; nothing is kept for later.
            DeviceFault: the hand was not homed since power-up, and would ignore the command.
        """
        self.require_connected()
        self.require_position(position)
        if not (self._poller.newest().is_homed or self._commands.is_homing):
            raise DeviceFault(
                "the Franka hand was not homed since power-up and ignores moves; call activate() or reset(), with "
                "nothing between the fingers"
            )
        self._wanted_m = position * self.spec.width_max_m
        self._commands.submit(self._going_to(self._wanted_m))

    def activate(self) -> None:
        """Start to home a hand that does not know its width yet; the fingers travel to both ends."""
        self.require_connected()
        if not (self._poller.newest().is_homed or self._commands.is_homing):
            self._wanted_m = None
            self._commands.submit(Wish("home", lambda hand: hand.homing(), is_homing=True))

    def reset(self) -> None:
        """Stop what is under way and open; a hand that was not homed since power-up is homed first."""
        self.activate()
        self.move(1.0)

    def _going_to(self, width_m: float) -> Wish:
        speed_m_s, force_n = self._options.speed_m_s, self._options.force_n
        if width_m == 0.0:
            return Wish("close", lambda hand: hand.grasp(0.0, speed_m_s, force_n, _ANY_WIDTH_M, _ANY_WIDTH_M))
        return Wish(f"go to {width_m:.3f} m", lambda hand: hand.move(width_m, speed_m_s))


class _Line(Source[Reading]):
    """The hand as the reading thread sees it; each connection is handed to the commands."""

    def __init__(self, config: FrankaHandConfig, context: CellContext, commands: HandCommands) -> None:
        self._host = config.host
        self._now_s = context.clock.now_s
        self._commands = commands
        self._hand: Any = None

    def open(self) -> None:
        """Connect."""
        host = self._host
        self._hand = opened_within(_CONNECTION_S, lambda: franky.Gripper(host), f"the Franka hand at {host}")
        self._commands.connected(self._hand)

    def poll(self) -> Reading | None:
        """Wait for the next packet."""
        asked_s = time.monotonic()
        with translated(f"reading the Franka hand at {self._host}"):
            state = self._hand.state
        return Reading(asked_s, self._now_s(), state.width, state.max_width > _HOMED_M, state.is_grasped)

    def close(self) -> None:
        """Drop the connection; a call that still runs on it keeps it until it returns."""
        self._commands.disconnected()
        self._hand = None
