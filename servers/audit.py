"""`AuditLog`: an append-only file of what happened to a cell, one JSON object a line."""

from __future__ import annotations

import json
import os
import queue
import re
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

from robotkit.aside import aside_logger
from robotkit.errors import InvalidConfiguration
from servers.events import Event
from servers.repeats import REPEAT_S, Line, Repeats

_log = aside_logger(__name__)

_QUEUE_MAX = 10_000
_CLOSE_WAIT_S = 2.0
_MESSAGE_MAX = 1000
"""Characters of a sentence, which may quote what was asked: so much of it is kept while the disk is slow."""
_MODE = 0o640
_UNWRITTEN = ("kind", "is_weighty")


class AuditLog:
    """An observer of `EventHub` that writes in a thread of its own: a slow or full disk delays no command and no stop.

    What may come without end becomes one line a second that says for how many it stands ("repeated"), see `Repeats`.
    Each line is written by one call to a file that is opened for appending only, and anew each time, so that it can be
    rotated. What cannot be written is counted in `lost`, and said once.

    Args:
        path: the file; it is created when it does not exist.
        cell: the cell's name, for every line.

    Raises:
        InvalidConfiguration: the file cannot be written.
    """

    def __init__(self, path: Path, cell: str) -> None:
        self.path = path
        self.lost = 0
        """How many events were not written."""
        self._cell = cell
        self._queue: queue.Queue[tuple[datetime, Event] | None] = queue.Queue(_QUEUE_MAX)
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._repeats = Repeats()
        self._has_failed = False
        try:
            os.close(self._open())
            self._is_torn = _ends_torn(path)
        except OSError as error:
            raise InvalidConfiguration(
                f"cannot write the audit log {path}: {error.strerror}; name another file with --audit, or --audit off"
            ) from error

    def __call__(self, event: Event) -> None:
        """Write the event soon."""
        with self._lock:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="robotkit-audit", daemon=True)
                with suppress(RuntimeError):  # the process may have no more threads; the next event tries again
                    thread.start()
                    self._thread = thread
        try:
            self._queue.put_nowait((datetime.now(UTC), replace(event, message=event.message[:_MESSAGE_MAX])))
        except queue.Full:
            self.lost += 1

    def close(self) -> None:
        """Write what is waiting, within two seconds."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is None:
            return
        try:
            self._queue.put(None, timeout=_CLOSE_WAIT_S)
        except queue.Full:
            _log.warning("the audit log %s is too slow; its last lines are lost", self.path)
            return
        thread.join(_CLOSE_WAIT_S)

    def _run(self) -> None:
        while True:
            try:
                item = self._queue.get(timeout=REPEAT_S)
            except queue.Empty:
                self._write(self._repeats.flush())
                continue
            if item is None:
                self._write(self._repeats.flush())
                return
            self._write(self._repeats.add(*item))

    def _write(self, lines: Iterable[Line]) -> None:
        for line in lines:
            self._write_line(line)

    def _write_line(self, line: Line) -> None:
        fields = {key: value for key, value in asdict(line.event).items() if value and key not in _UNWRITTEN}
        stamp = line.when.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        content = {"time": stamp, "event": line.event.kind, "cell": self._cell} | fields
        if line.times > 1:
            content["repeated"] = line.times
        data = json.dumps(content, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"
        try:
            self._append(data)
        except OSError as error:
            self.lost += 1
            if not self._has_failed:
                _log.error(
                    "the audit log %s cannot be written: %s; the cell goes on without", self.path, error.strerror
                )
            self._has_failed = True
        else:
            self._has_failed = False

    def _append(self, data: bytes) -> None:
        if self._is_torn:  # an earlier line ended in the middle
            data = b"\n" + data
        file = self._open()
        try:
            written = os.write(file, data)
            self._is_torn = 0 < written < len(data)
            if self._is_torn:
                raise OSError(0, "the disk took a part of a line")
        finally:
            os.close(file)

    def _open(self) -> int:
        # A pipe that nobody reads would be waited for.
        return os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, _MODE)


def _ends_torn(path: Path) -> bool:
    """True when the last line of a file has no end: the process before was killed, or the disk was full."""
    if not path.is_file() or not os.access(path, os.R_OK):
        return False
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 1))
        return file.read(1) not in (b"", b"\n")


def default_path(cell: str, environment: Mapping[str, str]) -> Path | None:
    """The default path of a cell's log: in the service's state directory, else the user's; None without both."""
    name = re.sub(r"[^\w.-]", "_", cell).lstrip(".") or "cell"
    service = environment.get("STATE_DIRECTORY", "").split(":")[0]
    if service:
        return Path(service) / f"audit-{name}.jsonl"
    state = environment.get("XDG_STATE_HOME") or (f"{home}/.local/state" if (home := environment.get("HOME")) else None)
    return Path(state) / "robotkit" / f"audit-{name}.jsonl" if state else None
