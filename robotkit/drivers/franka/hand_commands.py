"""`HandCommands`: carries out the newest command of a Franka Hand; a call that blocks has a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import franky

from robotkit.aside import aside_logger
from robotkit.errors import DeviceFault

_LOG = aside_logger(__name__)
_STOP_S = 0.5
"""How long the hand may take to stop, and the stopped command to return; some hands never answer one."""
_STOPS = 3
"""A stop that overtakes its command on the way to the hand ends nothing; it is sent again."""
_END_S = 2.0
_HOMING_S = 30.0
_WISH_MAX_AGE_S = 2.0
"""A command that could not be given to the hand for this long is reported, and not given later."""
_UNANSWERED_MAX = 32


@dataclass(frozen=True)
class Wish:
    """The next command of the hand."""

    what: str
    """The wish in words, for messages: "close", "go to 0.040 m", "home"."""
    carry_out: Callable[[Any], object]
    """Blocks while the fingers move; takes the `franky.Gripper`."""
    is_homing: bool = False


class _Call:
    """One blocking call in a thread of its own."""

    def __init__(self, wish: Wish, hand: Any, ended: Callable[[_Call], None]) -> None:
        self.wish = wish
        self.error: BaseException | None = None
        self.is_stopped = False
        self.done = threading.Event()
        self._hand, self._ended = hand, ended
        threading.Thread(target=self._run, name=f"franka hand: {wish.what}", daemon=True).start()

    def _run(self) -> None:
        hand, self._hand = self._hand, None  # the connection closes with the last reference to it
        try:
            self.wish.carry_out(hand)
        except BaseException as error:  # also what is none of libfranka's errors: a call without an end is waited for
            self.error = error.with_traceback(None)
        del hand
        self._ended(self)
        self.done.set()


class HandCommands:
    """The newest wish wins: it stops what runs, unless that is a homing, which it waits for.

    Nothing that was commanded is carried out over another connection, and nothing is lost silently: `failure` tells.
    """

    def __init__(self) -> None:
        self.failure: str | None = None
        """Why the newest command was not carried out, until there is another."""
        self.ended_s = float("-inf")
        """When the last command ended, on the monotonic clock; only a packet that is younger shows its outcome."""
        self._changed = threading.Condition()
        self._hand: Any = None
        self._homing: Wish | None = None
        self._wish: Wish | None = None
        self._wished_s = 0.0
        self._call: _Call | None = None
        self._unanswered = 0
        self._thread: threading.Thread | None = None
        self._is_closing = False

    @property
    def is_busy(self) -> bool:
        """True while a command waits or is carried out."""
        with self._changed:
            return self._next() is not None or (self._call is not None and not self._call.done.is_set())

    @property
    def is_homing(self) -> bool:
        """True while a homing waits or is carried out."""
        with self._changed:
            call = self._call
            return self._homing is not None or (call is not None and call.wish.is_homing and not call.done.is_set())

    def start(self) -> None:
        """Start the thread that gives commands."""
        self._is_closing = False
        self._thread = threading.Thread(target=self._run, name="franka hand commands", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread; a call that runs is given a moment to end, then it goes on without it, as the hand does."""
        thread, self._thread = self._thread, None
        if thread is not None:
            with self._changed:
                self._is_closing, self._homing, self._wish, self.failure = True, None, None, None
                self._changed.notify_all()
            thread.join(_STOP_S)
            call = self._call
            if call is not None:
                call.done.wait(_END_S)

    def connected(self, hand: Any) -> None:
        """Give commands to `hand`, a `franky.Gripper`, from now on."""
        with self._changed:
            self._hand, self._unanswered = hand, 0

    def disconnected(self) -> None:
        """The connection is gone, and with it whatever was under way."""
        with self._changed:
            self._hand, call = None, self._call
            if (wish := self._next()) is not None:
                self._fail(wish, "the connection was lost before it began")
            elif call is not None and not call.done.is_set():
                self._fail(call.wish, "the connection was lost while it was under way")
            self._call = None
            self._changed.notify_all()

    def submit(self, wish: Wish) -> None:
        """Leave a wish; one that has not begun yet is forgotten, but a homing goes first.

        Raises:
            DeviceFault: the hand has left too many commands without an answer.
        """
        if self._unanswered >= _UNANSWERED_MAX:
            raise DeviceFault(
                f"the Franka hand has not answered {self._unanswered} commands that were stopped; disconnect() and "
                "connect() again"
            )
        with self._changed:
            if wish.is_homing:
                self._homing = wish
            else:
                self._wish = wish
            self._wished_s, self.failure = time.monotonic(), None
            self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._is_closing or self._next() is not None)
                if self._is_closing:
                    return
                wish = self._next()
            assert wish is not None
            if not self._give(wish, self._hand):
                self._drop_if_old(wish)

    def _give(self, wish: Wish, hand: Any) -> bool:
        """Give a command to the hand, once it has room for it; False when it has not, or has gone."""
        if hand is None or not self._make_room(hand):
            return False
        with self._changed:
            if self._next() is wish and self._hand is hand:
                self._take(wish)
                self._call = _Call(wish, hand, self._end)
        return True

    def _next(self) -> Wish | None:
        return self._homing or self._wish

    def _take(self, wish: Wish) -> None:
        if wish is self._homing:
            self._homing = None
        else:
            self._wish = None

    def _make_room(self, hand: Any) -> bool:
        """End the command that runs; False when the hand does not take another one now."""
        call = self._call
        if call is None or call.done.is_set():
            return True
        if call.wish.is_homing:
            return call.done.wait(_HOMING_S)
        call.is_stopped = True
        for _ in range(_STOPS):
            stop = _Call(Wish("stop", lambda hand: hand.stop()), hand, lambda _: None)
            if not stop.done.wait(_STOP_S):
                self._unanswered += 1
                return False
            if call.done.wait(_STOP_S):
                return True
        self._unanswered += 1
        _LOG.warning("the Franka hand never answered the command to %s, which was stopped", call.wish.what)
        return True

    def _drop_if_old(self, wish: Wish) -> None:
        with self._changed:
            if self._next() is not wish:
                return
            if time.monotonic() - self._wished_s > _WISH_MAX_AGE_S:
                self._fail(wish, f"the hand did not take it for {_WISH_MAX_AGE_S:g} s, it hangs")
            else:
                self._changed.wait(0.01)

    def _end(self, call: _Call) -> None:
        """Look at how a call has ended. Fingers that met something, or were stopped, are no failure."""
        with self._changed:
            self.ended_s = time.monotonic()
            if call is not self._call or call.is_stopped or call.error is None:
                return
            if isinstance(call.error, franky.NetworkException):
                self._fail(call.wish, "the connection was lost while it was under way")
            elif isinstance(call.error, franky.CommandException) and not call.wish.is_homing:
                _LOG.info("the Franka hand ended the command to %s: %s", call.wish.what, call.error)
            else:
                self._fail(call.wish, (str(call.error) or repr(call.error)).splitlines()[0].rstrip("."))

    def _fail(self, wish: Wish, why: str) -> None:
        self._homing = self._wish = None
        if not self._is_closing:
            self.failure = f"the command to {wish.what} was accepted, but not carried out: {why}"
            _LOG.warning("Franka hand: %s", self.failure)
