"""`Turns`: lets commands act on the cell one at a time, and only for callers that still wait for the answer."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from robotkit.devices.machine import Moment
from robotkit.errors import Busy, CommandExpired, ConnectionFailed, RobotkitError, RobotStopped
from servers.access import Client
from servers.connections import Peer

QUEUE_LENGTH = 8
"""Commands of one client that may be under way: one acts, the others wait."""
QUEUE_WAIT_S = 1.0
"""How long a command without a deadline waits for its turn."""
_BRAKE_WAIT_S = 1.0
"""How long the next command waits for a hold that is under way, and a hold for the command that it ends."""
_WAKE_PERIOD_S = 0.005
_GONE = "nobody waits for the answer to this command any more"


class Caller:
    """Waits for the answers to commands: one web request, or one websocket."""

    def __init__(
        self,
        deadline_s: float | None = None,
        protocol: int | None = None,
        connection: Peer | None = None,
        moment: Moment | None = None,
    ) -> None:
        self.connection = connection
        """Connection of the caller; None: there is none."""
        self.protocol = protocol
        """Version of the protocol that it speaks; None: it does not say."""
        self.deadline_s = deadline_s
        """Time after which no command of this caller starts, in monotonic seconds of this machine."""
        self.moment = moment
        """Counts of what had come to the arm when its request arrived; None: each of its commands has a moment of its
        own."""
        self.heard_s = time.monotonic()
        """When its last heartbeat arrived."""
        self.client: Client | None = None
        """Client whose command began last."""
        self.is_gone = False
        """True once nobody waits for an answer any more; none of its commands starts then."""

    def require_present(self) -> None:
        """Look whether it still waits for the answer, of which this process may not have read yet.

        Raises:
            ConnectionFailed: it does not.
        """
        if self.is_gone or (self.connection is not None and self.connection.has_left):
            raise ConnectionFailed(_GONE)


CURRENT_CALLER: ContextVar[Caller] = ContextVar("CURRENT_CALLER")
"""Caller whose request this task, or this thread, works for."""


@dataclass(eq=False)
class _Command:
    client: object
    caller: Caller
    deadline_s: float
    is_motion: bool
    is_done: bool = False
    was_ended: bool = False
    brakes: int = 0


class Turns:
    """First come, first served; what may not wait is refused at once.

    Args:
        now_s: monotonic seconds, of which deadlines are made.
    """

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._changed = threading.Condition()
        self._queue: deque[_Command] = deque()
        self.is_closed = False
        """Set it to True, from a signal handler too, and no command starts any more."""

    @contextmanager
    def turn(
        self, client: object, caller: Caller, is_motion: bool = False, deadline_s: float | None = None
    ) -> Iterator[None]:
        """Wait for the turn of one command, and keep it inside the block.

        Args:
            client: whose command it is.
            caller: who waits for its answer.
            is_motion: True for a command that returns when the arm has arrived; no other command waits behind it.
            deadline_s: it does not start later; without one it waits `QUEUE_WAIT_S` at most.

        Raises:
            Busy: a blocking motion runs, or `QUEUE_LENGTH` commands of this client are under way.
            CommandExpired: its turn did not come in time.
            RobotStopped: the server is shutting down.
            ConnectionFailed: the caller is gone.
        """
        given_s = caller.deadline_s if deadline_s is None else deadline_s
        command = _Command(client, caller, self._now_s() + QUEUE_WAIT_S if given_s is None else given_s, is_motion)
        with self._changed:
            self._admit(command)
            self._wait(command)
        try:
            yield
        finally:
            self._leave(command)
        if command.was_ended:
            raise self._why_ended(command)

    def end(self, brake: Callable[[], None], wake: Callable[[], None], caller: Caller) -> None:
        """Drop the waiting commands of a caller, and end the one that acts.

        The command that comes next starts after `brake` has returned, also where that raises.

        Args:
            brake: ends a motion; called only while a command of the caller acts.
            wake: ends a wait; called until that command has ended.
            caller: whose commands; from now on it is gone.
        """
        with self._changed:
            caller.is_gone = True
            head = self._drop([one for one in self._queue if one.caller is caller])
        self._brake(head, brake, wake)

    @contextmanager
    def ended(
        self, client: object, is_gone: Callable[[], bool], brake: Callable[[], None], wake: Callable[[], None]
    ) -> Iterator[None]:
        """Let no command begin inside the block; end those of a client that is gone before.

        The block begins when the command that acts has ended, or after a second.

        Args:
            client: whose commands.
            is_gone: whether they shall end; asked when no command can begin.
            brake: ends a motion; called only while a command of the client acts.
            wake: ends a wait; called until that command has ended.
        """
        place = _Command(None, Caller(), math.inf, is_motion=False)
        with self._changed:
            head = self._drop([one for one in self._queue if one.client == client]) if is_gone() else None
            self._queue.insert(1, place)
        try:
            self._brake(head, brake, wake)
            with self._changed:
                self._changed.wait_for(lambda: self._queue[0] is place, _BRAKE_WAIT_S)
            yield
        finally:
            self._leave(place)

    def _drop(self, theirs: list[_Command]) -> _Command | None:
        """End these commands, in the order of the queue; the one of them that acts, which a brake has to end."""
        for command in theirs:
            command.was_ended = True
        self._changed.notify_all()
        if not theirs or theirs[0] is not self._queue[0] or theirs[0].is_done:
            return None
        theirs[0].brakes += 1
        return theirs[0]

    def _brake(self, head: _Command | None, brake: Callable[[], None], wake: Callable[[], None]) -> None:
        if head is None:
            return
        try:
            try:
                brake()
            finally:
                self._wake_until_done(head, wake)
        finally:
            with self._changed:
                head.brakes -= 1
                self._changed.notify_all()

    def close(self, brake: Callable[[], None], wake: Callable[[], None]) -> None:
        """Let no command start any more, and end the one that acts; returns when it has ended, or after a second."""
        self.is_closed = True
        with self._changed:
            self._changed.notify_all()
            head = self._queue[0] if self._queue else None
            if head is not None:
                head.was_ended = True
        try:
            brake()
        finally:
            if head is not None:
                self._wake_until_done(head, wake)

    def _admit(self, command: _Command) -> None:
        self._refuse(command)
        waiting = sum(1 for other in self._queue if other.client == command.client)
        if waiting >= QUEUE_LENGTH:
            raise Busy(
                f"{waiting} commands of this client are under way, which is as many as may be; wait for their answers"
            )

    def _wait(self, command: _Command) -> None:
        self._queue.append(command)
        try:
            while self._queue[0] is not command:
                self._changed.wait(min(command.deadline_s - self._now_s(), threading.TIMEOUT_MAX))
                self._refuse(command)
        except BaseException:
            self._queue.remove(command)
            self._changed.notify_all()
            raise

    def _refuse(self, command: _Command) -> None:
        if self.is_closed or command.was_ended or command.caller.is_gone:
            raise self._why_ended(command)
        if self._queue and self._queue[0].is_motion and self._queue[0] is not command:
            raise Busy("a blocking motion is running; wait for its answer, or end it with hold or stop")
        late_s = self._now_s() - command.deadline_s
        if late_s >= 0.0:
            raise CommandExpired(
                f"the command was not carried out: its deadline passed {late_s:.3f} s ago, before its turn came. "
                "Send a new one, made from a fresh state"
            )

    def _why_ended(self, command: _Command) -> RobotkitError:
        if self.is_closed:
            return RobotStopped("the server is shutting down: the robot is stopped and no command starts any more")
        if command.caller.is_gone:
            return ConnectionFailed(_GONE)
        return Busy("this client gave up control while the command was under way; the robot holds")

    def _leave(self, command: _Command) -> None:
        with self._changed:
            command.is_done = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not command.brakes, _BRAKE_WAIT_S)
            self._queue.remove(command)
            self._changed.notify_all()

    def _wake_until_done(self, command: _Command, wake: Callable[[], None]) -> None:
        end_s = time.monotonic() + _BRAKE_WAIT_S
        while time.monotonic() < end_s:
            wake()
            with self._changed:
                if self._changed.wait_for(lambda: command.is_done, _WAKE_PERIOD_S):
                    return
