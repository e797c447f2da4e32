"""`log_aside`: makes the whole log of a server's process one that nobody waits for."""

from __future__ import annotations

import logging
import os
import sys
import threading
from functools import partial

from robotkit.aside import ASIDE, aside_logger

_STDOUT, _STDERR = 1, 2
_log = aside_logger(__name__)


def log_aside() -> None:
    """Let `ASIDE` write what any logger, warning or failing thread of this process has to say, to stderr."""
    root = logging.getLogger()
    if ASIDE in root.handlers:
        return
    ASIDE.write = _Stderr().write
    ASIDE.start()
    root.addHandler(ASIDE)
    logging.captureWarnings(True)
    threading.excepthook = _log_end_of_thread
    sys.unraisablehook = _log_unraisable


def say(text: str) -> None:
    """Print a text to stdout, without waiting until somebody reads it."""
    ASIDE.do(partial(_write, _STDOUT, (text + "\n").encode(sys.stdout.encoding, "replace")))


class _Stderr:
    """Writes lines of the log."""

    def __init__(self) -> None:
        self._formatter = logging.Formatter("%(levelname)s: %(message)s")

    def write(self, record: logging.LogRecord) -> None:
        if logging.getLogger(record.name).isEnabledFor(record.levelno):
            _write(_STDERR, (self._formatter.format(record) + "\n").encode("utf-8", "backslashreplace"))


def _write(file: int, content: bytes) -> None:
    """Write to the file itself: the lock of `sys.stderr` would be kept while nobody reads, also at Python's end."""
    while content:
        content = content[os.write(file, content) :]


def _log_end_of_thread(ended: threading.ExceptHookArgs) -> None:
    if ended.exc_value is not None and not isinstance(ended.exc_value, SystemExit):
        name = ended.thread.name if ended.thread is not None else "of no name"
        _log.error("the thread %s failed", name, exc_info=ended.exc_value)


def _log_unraisable(failed: sys.UnraisableHookArgs) -> None:
    if failed.exc_value is not None:
        _log.error("%s in %r", failed.err_msg or "an error was passed over", failed.object, exc_info=failed.exc_value)
