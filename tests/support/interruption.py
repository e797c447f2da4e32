"""A signal handler that comes at a chosen line of a call, in the thread of the call."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from types import FrameType

_STUCK_S = 20.0


class Interruption:
    """Calls `handler` in the present thread, once, before the `line`-th line of files whose paths hold `sources`."""

    def __init__(
        self,
        line: int,
        handler: Callable[[], object],
        sources: tuple[str, ...] = ("/robotkit/", "threading.py"),
    ) -> None:
        self.has_come = False
        self._sources = sources
        self._left = line
        self._handler = handler

    def trace(self, frame: FrameType, event: str, _: object) -> Callable | None:
        if not any(source in frame.f_code.co_filename for source in self._sources):
            return None
        if event == "line":
            self._left -= 1
            if self._left == 0:
                sys.settrace(None)
                self.has_come = True
                self._handler()
                return None
        return self.trace


class Interrupt:
    """Ctrl+C at a chosen moment, in the thread that installs this with `sys.setprofile`.

    Python looks for signals when a built-in function has returned and when a function begins.

    Args:
        moment: which of those in files whose paths hold `sources`, from 1 on.
        sources: parts of paths.
    """

    def __init__(self, moment: int, sources: tuple[str, ...]) -> None:
        self.has_come = False
        self._left, self._sources = moment, sources

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        """Count this moment, and raise at the chosen one."""
        if event in ("call", "c_return") and any(source in frame.f_code.co_filename for source in self._sources):
            self._left -= 1
            if self._left == 0:
                sys.setprofile(None)
                self.has_come = True
                raise KeyboardInterrupt


def interrupted(call: Callable[[], object], interruption: Interruption) -> BaseException | None:
    """What `call` raises when it is interrupted."""
    errors: list[BaseException] = []

    def run() -> None:
        sys.settrace(interruption.trace)
        try:
            call()
        except BaseException as error:
            errors.append(error)
        finally:
            sys.settrace(None)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(_STUCK_S)
    assert not thread.is_alive(), "the stop waits for the thread that it has interrupted"
    return errors[0] if errors else None
