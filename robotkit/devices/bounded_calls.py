"""`BoundedCalls`: the calls to one device, which hold nobody up for longer than a bound."""

from __future__ import annotations

import _thread
import contextvars
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from robotkit.devices.words import said_of
from robotkit.errors import Busy, DeviceFault

T = TypeVar("T")

_TURN_S = 0.0005


class Overdue(DeviceFault):
    """A call that has begun has not returned yet."""


class BoundedCalls:
    """Calls that run one at a time, each in a thread of its own.

    One that hangs takes one thread, and none begins beside it.

    Args:
        doing: what the calls do, for a person: "the gripper takes its command".
        limit_s: from how long on a call hangs: it is told, and nothing else is asked of the device.
        wait_s: how long a command is waited for; `limit_s` by default.
    """

    def __init__(self, doing: str, limit_s: float, wait_s: float | None = None) -> None:
        self._doing, self._limit_s = doing, limit_s
        self._wait_s = limit_s if wait_s is None else wait_s
        self._changing = threading.RLock()  # a signal handler may ask between any two lines
        self._under_way: _Call | None = None
        self._waiting: list[_Call] = []
        self._late_error: Exception | None = None

    @property
    def overdue(self) -> Overdue | None:
        """The reason why a call that has been under way for longer than the limit gives no answer.

        It is None when there is no such call.
        """
        call = self._under_way
        return self._overdue(call) if call is not None and call.age_s >= self._limit_of(call) else None

    @property
    def takes_its_time(self) -> bool:
        """True while a command is under way that is given longer than the others, and is not overdue."""
        call = self._under_way
        return call is not None and self._limit_s < self._limit_of(call) > call.age_s

    @property
    def unanswered(self) -> Overdue | None:
        """The reason why a call that has been under way for any time gives no answer; None without such a call."""
        call = self._under_way
        return None if call is None else self._overdue(call)

    @property
    def late_error(self) -> Exception | None:
        """The error that the newest command has raised after it was waited for."""
        return self._late_error

    def call(self, what: Callable[[], T]) -> T:
        """Return or raise what the question `what` does, one question after the other.

        A driver's `SystemExit` is a fault of its device.

        Raises:
            DeviceFault: its turn did not come within the limit, and it was not begun.
            Overdue: it has not returned within the limit.
        """
        call = _Call(what)
        self._require_soon(self._under_way)
        if self._is_first(call):
            self._start(call)
        if not call.is_over.wait(self._limit_s):
            self._require_begun(call)
            if not call.is_over.wait(max(0.0, self._limit_s - call.age_s)):
                raise self._overdue(call)
        if call.error is not None:
            raise call.error
        value: T = call.value
        return value

    def command(
        self,
        what: Callable[[], object],
        require: Callable[[], object] = lambda: None,
        awaited_s: float | None = None,
        doing: str | None = None,
        key: object = None,
    ) -> None:
        """Have the command done, and wait for it.

        What takes longer goes on, and of what waits behind it the newest is done.

        What has waited for `limit_s` is not done any more.

        Args:
            what: to do.
            require: raises when what has waited is not to be done any more.
            awaited_s: how long to wait for one that has to return, which hangs no sooner; None: `wait_s`, and it need
                not return.
            doing: what it does, for a person; None: what all of them do.
            key: not None, one that has begun last under the same key does for it.

        Raises:
            DeviceFault: a call before it hangs, and this one will not be done.
            Busy: one before it takes its time, and this one will not be done.
            Overdue: it has to return, and has not.
            Exception: what it raises while it is waited for; later it is `late_error`, until the next command.
        """
        self._require_soon(self._under_way)
        call = _Call(what, require, has_to_return=awaited_s is not None, doing=doing, key=key)
        call.awaited_s = awaited_s or 0.0
        with self._changing:
            before = self._under_way
            if key is not None and before is not None and before.key == key and not self._waiting:
                call = before
            else:
                self._late_error = None
                while self._waiting:
                    self._waiting.pop().replace()
            is_first = call is not before and self._is_first(call)
        if is_first:
            self._start(call)
        if not call.is_over.wait(self._wait_s if awaited_s is None else awaited_s):
            if awaited_s is not None:
                self._require_begun(call)
                call.is_over.wait(max(0.0, awaited_s - call.age_s))
            with self._changing:
                call.is_left = not call.is_over.is_set()
        if call.is_left and call.has_to_return:
            raise self._overdue(call)
        if not call.is_left and call.error is not None:
            raise call.error

    def wait_until_idle(self, limit_s: float) -> bool:
        """Wait until nothing is under way; False where it still is after `limit_s`.

        It takes no lock: a signal handler may have another thread wait while it interrupts the one that has the lock.
        """
        end_s = time.monotonic() + limit_s
        while (call := self._under_way) is not None:
            left_s = end_s - time.monotonic()
            if not call.is_over.wait(max(0.0, left_s)) or left_s <= 0.0:
                return False
            time.sleep(_TURN_S)  # its thread is about to take the next
        return True

    def forget(self) -> None:
        """Tell no late error of what was asked for until now."""
        with self._changing:
            self._late_error = None
            for call in (self._under_way, *self._waiting):
                if call is not None:
                    call.is_left = False

    def _require_soon(self, before: _Call | None) -> None:
        """Refuse what would have to wait behind `before` for too long."""
        if before is None or before.age_s < self._limit_s:
            return
        if before.age_s < self._limit_of(before):
            raise Busy(f"{before.doing or self._doing}, which takes its time; ask again when it is done")
        raise DeviceFault(self._overdue(before).message)

    def _limit_of(self, call: _Call) -> float:
        """From how long on it hangs."""
        return max(self._limit_s, call.awaited_s)

    def _require_begun(self, call: _Call) -> None:
        with self._changing:
            if call not in self._waiting:
                return
            self._waiting.remove(call)
            before = self._under_way
        self._require_soon(before)
        raise DeviceFault(f"{self._doing}, which came to nothing: its driver was busy with those before it")

    def _is_first(self, call: _Call) -> bool:
        """Take it in; True when nothing is under way, and it is from now on."""
        with self._changing:
            if self._under_way is not None:
                self._waiting.append(call)
                return False
            self._under_way, call.began_s = call, time.monotonic()
            return True

    def _start(self, call: _Call) -> None:
        try:
            _thread.start_new_thread(self._run, (call,))
        except RuntimeError:  # the process may have no more threads
            self._run(call)

    def _run(self, call: _Call | None) -> None:
        while call is not None:
            call.run()
            call = self._after(call)

    def _after(self, done: _Call) -> _Call | None:
        """The call that is done next; those are over that are not to be done any more."""
        with self._changing:
            self._end(done)
            while self._waiting:
                following = self._waiting.pop(0)
                following.error = following.refusal(self._limit_s)
                if following.error is None:
                    following.began_s = time.monotonic()
                    self._under_way = following
                    return following
                self._end(following)
            self._under_way = None
        return None

    def _end(self, call: _Call) -> None:
        if call.is_left and not self._waiting and not call.is_of_the_past:
            self._late_error = call.error
        call.is_over.set()

    def _overdue(self, call: _Call) -> Overdue:
        advice = "Look at the device and its cable" if call.doing is None else "That may take its time"
        return Overdue(
            f"{call.doing or self._doing}, and its driver has not returned for {call.age_s:.1f} s. {advice}; nothing "
            "else is asked of it until its driver returns"
        )


class _Call:
    def __init__(
        self,
        what: Callable[[], Any],
        require: Callable[[], object] = lambda: None,
        *,
        has_to_return: bool = True,
        doing: str | None = None,
        key: object = None,
    ) -> None:
        self._what, self._require, self.has_to_return, self.doing = what, require, has_to_return, doing
        self.awaited_s = 0.0
        self.key = key
        self._asked_s = self.began_s = time.monotonic()
        self._context = contextvars.copy_context()
        self.is_over = threading.Event()
        self.is_left = False
        """True once nobody waits for it any more: what it raises is told later."""
        self.is_of_the_past = False
        """True of one that is not done because of what came since it was asked for."""
        self.value: Any = None
        self.error: Exception | None = None

    @property
    def age_s(self) -> float:
        return time.monotonic() - self.began_s

    def replace(self) -> None:
        """Give up the call: a newer one came before it had begun."""
        if self.has_to_return:
            self.error = DeviceFault("the command was not carried out: a newer one came before it had begun")
        self.is_over.set()

    def refusal(self, limit_s: float) -> Exception | None:
        """The reason why the call is not done after it has waited."""
        waited_s = time.monotonic() - self._asked_s
        try:
            if waited_s >= limit_s:
                raise DeviceFault(f"the command was not carried out: the driver was busy for {waited_s:.1f} s")
            self.is_of_the_past = True
            self._require()
            self.is_of_the_past = False
        except Exception as error:
            return error
        return None

    def run(self) -> None:
        try:
            self.value = self._context.run(self._what)
        except Exception as error:
            self.error = error
        except BaseException as error:
            self.error = DeviceFault(said_of(error))
