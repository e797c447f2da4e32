"""`Poller`: a thread that keeps the newest reading of a device and reopens the device when it fails or falls silent."""

from __future__ import annotations

import math
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Generic, TypeVar

from robotkit.errors import ConnectionFailed, DeviceFault, StaleState

T = TypeVar("T")

_RETRY_MIN_S, _RETRY_MAX_S = 0.1, 2.0
_GIVE_WAY_S = 1e-5
"""A reader that spins keeps the interpreter from the poller's thread, 5 ms after each of its waits."""


class Source(ABC, Generic[T]):
    """The device that a poller reads. After `start`, every method runs in the poller's thread."""

    stopping: threading.Event
    """Given by the poller, set when polling is to end: then `open` and `poll` end their waits, and write no more."""

    @abstractmethod
    def open(self) -> None:
        """Open the device.

        Raises:
            ConnectionFailed: it does not answer.
        """

    @abstractmethod
    def poll(self) -> T | None:
        """Return a new reading; None when there is none yet. Waits a few tenths of a second at most.

        Raises:
            DeviceFault: readers get it at once, until there is a new reading.
            Exception: anything else; readers get `StaleState` when the newest reading has become too old.
        """

    @abstractmethod
    def close(self) -> None:
        """Close the device, also one that is half open or gone."""


class Poller(Generic[T]):
    """Keeps the newest reading of a source. A caller never waits for the device, and never delays the poller.

    Args:
        source: the device.
        name: names the device in errors.
        max_age_s: an older reading raises `StaleState`; infinity never does.
        silence_s: without a new reading for this long the source is closed and opened again; infinity never does.
        period_s: pause between two polls, for sources that do not wait by themselves.
        hint: what to do about a reading that is too old.
        age_s: how old a reading is by its own stamp; it counts when it is more than the time since the arrival.
        forgets_on_failure: a failure ends the newest reading at once, whatever its age: for a hand that steers.
        join_s: how long `stop()` waits for a source that hangs.
    """

    def __init__(
        self,
        source: Source[T],
        name: str,
        *,
        max_age_s: float,
        silence_s: float = math.inf,
        period_s: float = 0.0,
        hint: str = "it is being reopened, check its cable and power",
        age_s: Callable[[T], float] | None = None,
        forgets_on_failure: bool = False,
        join_s: float = 3.0,
    ) -> None:
        self._source = source
        self._name = name
        self._max_age_s = max_age_s
        self._silence_s = silence_s
        self._period_s = period_s
        self._hint = hint
        self._age_s = age_s
        self._forgets_on_failure = forgets_on_failure
        self._join_s = join_s
        self._newest: tuple[float, T] | None = None
        self._handed_out: tuple[float, T] | None = None
        self._error: Exception | None = None
        self._fault: DeviceFault | None = None
        self._started_s = 0.0
        self._arrived = threading.Event()
        self._stop = source.stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._left_behind: threading.Thread | None = None

    @property
    def is_running(self) -> bool:
        """True between `start()` and `stop()`."""
        return self._thread is not None

    def start(self, wait_s: float = 0.0) -> None:
        """Open the source and start to poll it.

        Args:
            wait_s: how long to wait for the first reading; 0 does not wait.

        Raises:
            ConnectionFailed: the source does not open, or sends nothing in `wait_s`.
            DeviceFault: it reported one in place of its first reading.
        """
        if self._thread is not None:
            return
        if self._left_behind is not None and self._left_behind.is_alive():
            raise ConnectionFailed(f"{self._name} still hangs in its last connection; unplug the device and plug it in")
        self._newest = self._handed_out = self._error = self._fault = None
        self._started_s = time.monotonic()
        self._stop.clear()
        self._arrived.clear()
        thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        try:
            self._source.open()
            thread.start()
        except BaseException:  # an interrupted caller leaves nothing open either
            self._close()
            raise
        self._thread = thread
        if wait_s > 0.0:
            self._await_first(wait_s)

    def _await_first(self, wait_s: float) -> None:
        try:
            is_there = self.wait_for_first(wait_s)
        except BaseException:
            self.stop()
            raise
        if is_there:
            return
        error, fault = self._error, self._fault
        self.stop()
        if fault is not None:
            raise DeviceFault(fault.message) from fault
        raise ConnectionFailed(f"{self._name} opened, but sent nothing in {wait_s:g} s{_because(error)}") from error

    def wait_for_first(self, wait_s: float) -> bool:
        """Wait until there is a first reading; False when none came in `wait_s`, or a fault came in its place."""
        return self._arrived.wait(wait_s) and self._newest is not None

    def stop(self) -> None:
        """Stop polling; the thread closes the source. A source that hangs is left behind."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._left_behind = thread
            self._stop.set()
            thread.join(self._join_s)

    def newest(self) -> T:
        """The newest reading. Asked again before there is a newer one, it lets the poller's thread go first.

        Raises:
            DeviceFault: the source reported one, and nothing new since.
            StaleState: it is older than allowed, or there is none; the message says what the device reported last.
        """
        if self._newest is self._handed_out:
            time.sleep(_GIVE_WAY_S)
        newest, error, fault = self._newest, self._error, self._fault
        if fault is not None:
            raise DeviceFault(f"{self._name}: {fault.message}") from fault
        self._handed_out = newest
        age_s = time.monotonic() - (newest[0] if newest else self._started_s)
        if newest is not None and self._age_s is not None:
            age_s = max(age_s, self._age_s(newest[1]))
        is_forgotten = self._forgets_on_failure and error is not None
        if newest is None or is_forgotten or age_s > self._max_age_s:
            raise StaleState(
                f"{self._name}: nothing new for {age_s:.2f} s (allowed: {self._max_age_s:g} s){_because(error)}; "
                f"{self._hint}"
            ) from error
        return newest[1]

    def _run(self) -> None:
        is_open, retry_s = True, _RETRY_MIN_S
        while not self._stop.is_set():
            try:
                if not is_open:
                    self._source.open()
                    is_open = True
                self._listen()
            except Exception as error:  # whatever a vendor's package raises, readers hear of it through `newest`
                self._note(error)
                self._close()
                retry_s = _RETRY_MIN_S if is_open else min(2.0 * retry_s, _RETRY_MAX_S)
                is_open = False
                self._stop.wait(retry_s)
        self._close()

    def _note(self, error: Exception) -> None:
        """Keep an error for the readers."""
        self._error = error
        if isinstance(error, DeviceFault):
            self._fault = error
            self._arrived.set()

    def _close(self) -> None:
        """Close the source; one that cannot be closed is opened again all the same."""
        try:
            self._source.close()
        except Exception as error:  # readers hear of it, unless they know why it had to be closed
            self._error = self._error or error

    def _listen(self) -> None:
        """Poll until the poller stops or the source falls silent."""
        heard_s = time.monotonic()
        while not self._stop.is_set():
            reading = self._source.poll()
            now_s = time.monotonic()
            if reading is not None:
                heard_s = now_s
                self._newest = (now_s, reading)
                self._error = self._fault = None
                self._arrived.set()
            elif now_s - heard_s > self._silence_s:
                raise StaleState(f"no new reading for {now_s - heard_s:.2f} s")
            if self._period_s:
                self._stop.wait(self._period_s)


def _because(error: Exception | None) -> str:
    return f" because of {type(error).__name__}: {error}" if error else ""
