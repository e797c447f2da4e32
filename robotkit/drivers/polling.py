"""`Poller`: a thread that keeps the newest reading of a device and reopens the device when it fails or falls silent."""

from __future__ import annotations

import math
import threading
import time
from abc import ABC, abstractmethod
from typing import Generic, TypeVar

from robotkit.errors import ConnectionFailed, StaleState

T = TypeVar("T")

_RETRY_MIN_S, _RETRY_MAX_S = 0.1, 2.0
_GIVE_WAY_S = 1e-5
"""A reader that spins keeps the interpreter from the poller's thread, 5 ms after each of its waits."""


class Source(ABC, Generic[T]):
    """What a poller asks. After `start`, every method runs in the poller's thread."""

    @abstractmethod
    def open(self) -> None:
        """Open the device.

        Raises:
            ConnectionFailed: it does not answer.
        """

    @abstractmethod
    def poll(self) -> T | None:
        """Return a new reading; None when there is none yet. Waits a few tenths of a second at most."""

    @abstractmethod
    def close(self) -> None:
        """Close the device, also one that is half open or gone."""


class Poller(Generic[T]):
    """Keeps the newest reading of a source; whoever asks never waits for the device, nor keeps the poller from it.

    Args:
        source: the device.
        name: names the device in errors.
        max_age_s: an older reading raises `StaleState`; infinity never does.
        silence_s: without a new reading for this long the source is closed and opened again; infinity never does.
        period_s: pause between two polls, for sources that do not wait by themselves.
        hint: what to do about a reading that is too old.
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
        join_s: float = 3.0,
    ) -> None:
        self._source = source
        self._name = name
        self._max_age_s = max_age_s
        self._silence_s = silence_s
        self._period_s = period_s
        self._hint = hint
        self._join_s = join_s
        self._newest: tuple[float, T] | None = None
        self._handed_out: tuple[float, T] | None = None
        self._error: Exception | None = None
        self._started_s = 0.0
        self._arrived = threading.Event()
        self._stop = threading.Event()
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
        """
        if self._thread is not None:
            return
        if self._left_behind is not None and self._left_behind.is_alive():
            raise ConnectionFailed(f"{self._name} still hangs in its last connection; unplug the device and plug it in")
        self._newest, self._error = None, None
        self._started_s = time.monotonic()
        self._stop.clear()
        self._arrived.clear()
        try:
            self._source.open()
        except Exception:
            self._source.close()
            raise
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()
        if wait_s > 0.0 and not self.wait_for_first(wait_s):
            error = self._error
            self.stop()
            raise ConnectionFailed(f"{self._name} opened, but sent nothing in {wait_s:g} s{_because(error)}") from error

    def wait_for_first(self, wait_s: float) -> bool:
        """Wait until there is a first reading; False when none came in `wait_s`."""
        return self._arrived.wait(wait_s)

    def stop(self) -> None:
        """Stop polling; the thread closes the source. A source that hangs is left behind."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._stop.set()
            thread.join(self._join_s)
            self._left_behind = thread

    def newest(self) -> T:
        """The newest reading. Asked again before there is a newer one, it lets the poller's thread go first.

        Raises:
            StaleState: it is older than allowed, or there is none; the message says what the device reported last.
        """
        if self._newest is self._handed_out:
            time.sleep(_GIVE_WAY_S)
        newest, error = self._newest, self._error
        self._handed_out = newest
        age_s = time.monotonic() - (newest[0] if newest else self._started_s)
        if newest is None or age_s > self._max_age_s:
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
                self._error = error
                self._source.close()
                retry_s = _RETRY_MIN_S if is_open else min(2.0 * retry_s, _RETRY_MAX_S)
                is_open = False
                self._stop.wait(retry_s)
        self._source.close()

    def _listen(self) -> None:
        """Poll until the poller stops or the source falls silent."""
        heard_s = time.monotonic()
        while not self._stop.is_set():
            reading = self._source.poll()
            now_s = time.monotonic()
            if reading is not None:
                heard_s = now_s
                self._newest, self._error = (now_s, reading), None
                self._arrived.set()
            elif now_s - heard_s > self._silence_s:
                raise StaleState(f"no new reading for {now_s - heard_s:.2f} s")
            if self._period_s:
                self._stop.wait(self._period_s)


def _because(error: Exception | None) -> str:
    return f" because of {type(error).__name__}: {error}" if error else ""
