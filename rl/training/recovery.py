"""`Recovery`: waits until a person has mended what interrupted an environment, and goes on."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Protocol, TypeVar

from rl.errors import EnvironmentInterrupted
from rl.utils.subprocesses import Stop

logger = logging.getLogger(__name__)

_T = TypeVar("_T")


class Waiting(Protocol):
    """The part of an actor's way to its learner that `Recovery` needs."""

    @property
    def is_finished(self) -> bool:
        """True when the training has ended."""
        ...

    def set_waiting_for(self, reason: str | None) -> None:
        """Say what the actor waits for."""
        ...


class Recovery:
    """Carries work with an environment through faults, stops and lost connections of its robot.

    It never recovers a robot: that is a person's decision. It tries its work again, which begins with a reset, and a
    robot that nobody has recovered refuses that without a motion.

    Args:
        link: reports what the actor waits for, and whether the training is over.
        stop: asks for the end.
        pause_s: between two tries.
        reminder_s: between two lines of the log about one interruption.
    """

    def __init__(self, link: Waiting, stop: Stop, pause_s: float = 1.0, reminder_s: float = 60.0) -> None:
        self._link = link
        self._stop = stop
        self._pause_s = pause_s
        self._reminder_s = reminder_s
        self._kind: tuple[type, type] | None = None
        self._began_s = self._said_s = 0.0

    def carry(self, work: Callable[[], _T], interruption: EnvironmentInterrupted | None = None) -> _T | None:
        """Try `work` until it is not interrupted.

        Args:
            work: begins with a reset of the environment.
            interruption: what has interrupted the actor already.

        Returns:
            What `work` returned; None when the run ended before.

        Raises:
            EnvironmentFailed: something that no waiting can mend.
        """
        while not self._stop.is_set():
            try:
                if interruption is not None:
                    raise interruption
                result = work()
            except EnvironmentInterrupted as error:
                interruption = None
                if self._stop.is_set():  # which is what ended a wait
                    break
                self._say(error)
                # A training that is over does not wait for its robot.
                if self._link.is_finished or self._stop.wait(self._pause_s):
                    break
            else:
                self._say_mended()
                return result
        return None

    def _say(self, error: EnvironmentInterrupted) -> None:
        self._link.set_waiting_for(str(error))
        now_s, kind = time.monotonic(), (type(error), type(error.__cause__))
        if self._kind is None:
            self._began_s = now_s
        if kind != self._kind or now_s - self._said_s >= self._reminder_s:
            self._kind, self._said_s = kind, now_s
            logger.warning(
                "%s. The actor waits: %s. It then resets the environment, so THE ROBOT MOVES BY ITSELF within %g s of "
                "that, and training goes on. To end the actor press Ctrl+C",
                *(str(error).rstrip("."), error.remedy, self._pause_s),
            )

    def _say_mended(self) -> None:
        if self._kind is not None:
            self._kind = None
            self._link.set_waiting_for(None)
            logger.info("the environment goes on after %.0f s", time.monotonic() - self._began_s)
