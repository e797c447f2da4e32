"""The two clocks of a simulation: one that steps the physics, and a thread that follows real time."""

from __future__ import annotations

import threading
import time
from contextlib import AbstractContextManager
from typing import Any, Protocol

from robotkit.clock import Clock
from robotkit.errors import DeviceFault

WAKE_PERIOD_S = 0.01
"""Time between two wakes, each for several physics steps: shorter ones starve behind a busy interpreter (measured down
to 0.35 of real time at 1 ms), and the physics does not notice."""
GIVE_UP_S = 0.5
"""A world that is this late (a suspended machine) goes on from now instead of catching up."""


class SteppedWorld(Protocol):
    """The methods of a world by which its time passes in lock-step."""

    def now_s(self) -> float:
        """Time of the cell."""

    def advance(self, period_s: float) -> None:
        """Simulate `period_s`."""


class TimedWorld(Protocol):
    """The methods of a world by which its time follows the wall's."""

    @property
    def lock(self) -> AbstractContextManager[Any]:
        """The lock that every access to the world holds."""

    @property
    def problem(self) -> str | None:
        """Why the physics stands still; None while it does not."""

    @property
    def record(self) -> Any:
        """The world's numbers (`sims.physics.WORLD`)."""

    @property
    def dt_s(self) -> float:
        """Length of a physics step."""

    def now_s(self) -> float:
        """Time of the cell."""

    def simulate(self, steps: int) -> None:
        """Run that many physics steps; the lock is held."""

    def fail(self, problem: str) -> None:
        """Freeze the world in its last sound state; the lock is held."""


class LockstepClock(Clock):
    """Time passes only in `advance`, which runs the physics for exactly that long."""

    def __init__(self, world: SteppedWorld) -> None:
        self._world = world

    @property
    def is_lockstep(self) -> bool:
        """True: nothing moves between two calls."""
        return True

    def now_s(self) -> float:
        """Simulated seconds since the world was built; a reset does not turn them back."""
        return self._world.now_s()

    def advance(self, period_s: float) -> None:
        """Simulate `period_s`."""
        self._world.advance(period_s)


class RealTimeThread:
    """Makes the world's time follow `time.monotonic`, also when load delays its wake-ups."""

    def __init__(self, world: TimedWorld) -> None:
        self._world = world
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mujoco-physics", daemon=True)

    def start(self) -> None:
        """Begin at the present moment."""
        self._set_now(time.monotonic())
        self._thread.start()

    def stop(self) -> None:
        """End the thread and wait for it."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        wake_s = time.monotonic()
        while not self._stop.wait(max(0.0, wake_s - time.monotonic())):
            wake_s = max(wake_s + WAKE_PERIOD_S, time.monotonic())
            self._catch_up()

    def _catch_up(self) -> None:
        """Simulate what is late; a failure stays with the world, and its time stands still until the world restarts."""
        world = self._world
        with world.lock:
            if world.problem is not None:
                return
            late_s = time.monotonic() - world.now_s()
            if late_s > GIVE_UP_S:
                self._set_now(time.monotonic())
                return
            try:
                world.simulate(int(late_s / world.dt_s))
            except DeviceFault:
                return
            except Exception as error:  # whatever ends the physics is reported by every device of the world
                world.fail(repr(error))

    def _set_now(self, now_s: float) -> None:
        self._world.record["origin"] += now_s - self._world.now_s()
