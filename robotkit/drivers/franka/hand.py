"""`FrankaHand`: the two-fingered hand on the arm's flange, through the control box."""

from __future__ import annotations

import math
from dataclasses import dataclass

import franky

from robotkit.devices import BaseGripperServer, CellContext
from robotkit.drivers.franka.config import FrankaHandConfig
from robotkit.drivers.franka.faults import translated
from robotkit.drivers.polling import Poller, Source
from robotkit.errors import InvalidCommand
from robotkit.schema import GripperSpec, GripperState

_OPEN_S = 3.0
_MAX_AGE_S = 0.5
"""The hand reports about 30 times a second."""
_STOP_S = 2.0
_ANY_WIDTH_M = 1.0
_HELD_M = 0.004
"""Fingers that stand farther than this from where they were sent hold something."""
_HOMING = -1.0


@dataclass(frozen=True)
class Reading:
    """One packet of the hand, and whether a command was under way then."""

    stamp_s: float
    width_m: float
    is_moving: bool


class FrankaHand(BaseGripperServer):
    """A thread of its own speaks to the hand, whose commands take a second each; the newest command wins.

    Closing is a grasp that any width satisfies, so that what is held is pressed with `force_n`; every other position is
    a plain move. `raw` is the distance between the fingers in metres. A lost connection is opened again without moving
    anything.
    """

    Config = FrankaHandConfig

    def __init__(self, config: FrankaHandConfig, context: CellContext) -> None:
        super().__init__(config, context)
        self.spec = GripperSpec(name="franka_hand", width_max_m=config.width_max_m)
        self._line = _Line(config, context)
        self._poller: Poller[Reading] = Poller(self._line, f"franka hand {context.name!r}", max_age_s=_MAX_AGE_S)

    @property
    def is_connected(self) -> bool:
        """True between `connect()` and `disconnect()`."""
        return self._poller.is_running

    def connect(self) -> None:
        """Connect without moving the fingers; a hand that was not homed since power-up needs `activate()` first."""
        self._poller.start(wait_s=_OPEN_S)

    def disconnect(self) -> None:
        """Close the connection; the hand goes on holding what it holds."""
        self._poller.stop()

    def get_state(self) -> GripperState:
        """The newest packet; `raw` is the distance between the fingers in metres."""
        self.require_connected()
        reading, width_max_m = self._poller.newest(), self.spec.width_max_m
        wanted_m = self._line.wanted_m
        is_moving = reading.is_moving or self._line.has_news
        target_m = reading.width_m if wanted_m is None else wanted_m
        return GripperState.trusted(
            stamp_s=reading.stamp_s,
            position=min(1.0, max(0.0, reading.width_m / width_max_m)),
            target_position=min(1.0, target_m / width_max_m),
            width_m=reading.width_m,
            is_moving=is_moving,
            is_grasping=not is_moving and reading.width_m > target_m + _HELD_M,
            raw=reading.width_m,
        )

    def move(self, position: float) -> None:
        """Leave a new target for the thread.

        Raises:
            StaleState: the hand does not answer; nothing is kept for later.
        """
        self.require_connected()
        if not (math.isfinite(position) and 0.0 <= position <= 1.0):
            raise InvalidCommand(f"gripper position {position!r} is not in [0, 1]; 0 is closed, 1 is open")
        self._poller.newest()
        self._line.go_to(position * self.spec.width_max_m)

    def activate(self) -> None:
        """Start to home a hand that does not know its width yet; the fingers travel to both ends."""
        self.require_connected()
        self._poller.newest()
        if not self._line.is_homed:
            self._line.home()

    def reset(self) -> None:
        """Stop what is under way and open."""
        self.move(1.0)


class _Line(Source[Reading]):
    """The hand as its thread sees it: each poll starts the newest command, if there is one, and reads the width."""

    def __init__(self, config: FrankaHandConfig, context: CellContext) -> None:
        self._options = config
        self._now_s = context.clock.now_s
        self._hand: franky.Gripper | None = None
        self._running: franky.BoolFuture | None = None
        self._abandoned: list[tuple[franky.Gripper | None, franky.BoolFuture]] = []
        self._news: float | None = None
        self.wanted_m: float | None = None
        self.is_homed = False

    @property
    def has_news(self) -> bool:
        """True until the thread has started the newest command."""
        return self._news is not None

    def go_to(self, width_m: float) -> None:
        """Leave a width for the thread; a wish that it has not seen yet is forgotten."""
        self.wanted_m = self._news = width_m

    def home(self) -> None:
        """Leave the wish to home for the thread."""
        self.wanted_m, self._news = None, _HOMING

    def open(self) -> None:
        """Connect; what was commanded before is forgotten."""
        self._running = self._news = self.wanted_m = None
        with translated(f"connecting to the Franka hand at {self._options.host}"):
            self._hand = franky.Gripper(self._options.host)

    def poll(self) -> Reading | None:
        """Start the newest command and wait for the next packet."""
        assert self._hand is not None
        with translated(f"talking to the Franka hand at {self._options.host}"):
            if self._news is not None:
                self._stop(self._hand)
                self._running = self._start(self._hand, self._news)
            state = self._hand.state
            self._finish()
        self.is_homed = state.max_width > 0.01
        return Reading(self._now_s(), state.width, self._running is not None)

    def close(self) -> None:
        """Drop the connection after the command that runs on it; franky crashes when the hand goes first."""
        if self._running is not None and not self._running.wait(_STOP_S):
            self._abandoned.append((self._hand, self._running))
        self._running = None
        self._hand = None

    def _start(self, hand: franky.Gripper, width_m: float) -> franky.BoolFuture:
        """Begin without waiting; only a wish that is still the newest counts as started."""
        if width_m == _HOMING:
            running = hand.homing_async()
        elif width_m == 0.0:
            speed, force = self._options.speed_m_s, self._options.force_n
            running = hand.grasp_async(0.0, speed, force, _ANY_WIDTH_M, _ANY_WIDTH_M)
        else:
            running = hand.move_async(width_m, self._options.speed_m_s)
        if self._news == width_m:
            self._news = None
        return running

    def _stop(self, hand: franky.Gripper) -> None:
        """End the command that runs; the hand takes the next one only then."""
        if self._running is not None and not self._running.wait(0.0):
            hand.stop()
            self._running.wait(_STOP_S)
        self._finish()

    def _finish(self) -> None:
        """Take the result of a command that has ended. Fingers that met something or were stopped are no fault."""
        if self._running is None or not self._running.wait(0.0):
            return
        running, self._running = self._running, None
        try:
            running.get()
        except franky.CommandException:
            return
