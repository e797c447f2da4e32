"""Runs groups of tests, each in a process of its own: one is shown as it runs, the others run beside it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO

GROUPS = ("none", "others", "franka")
"""Values of `--vendor`: a vendor's native library that crashes takes no other group's results with it."""
_NO_TEST_FITS = 5
_END_WAIT_S = 20.0


def pytest_commands(arguments: Sequence[str]) -> list[list[str]]:
    """The command line of each group."""
    return [[sys.executable, "-m", "pytest", "--vendor", group, *arguments] for group in GROUPS]


def run(commands: Sequence[Sequence[str]]) -> int:
    """Run the first command in the foreground and the others, one by one, beside it; 0 when all went well.

    Many tests wait for time to pass, so that two groups at once take little longer than one. A machine with a single
    core runs one after the other.
    """
    first, *others = commands
    with tempfile.TemporaryDirectory() as folder:
        beside = _Beside(others, Path(folder))
        try:
            if len(os.sched_getaffinity(0)) > 1:
                beside.start()
            status = subprocess.run(first, check=False).returncode
            beside.start()
            beside.join()
        finally:
            beside.end()
        return max(int(one not in (0, _NO_TEST_FITS)) for one in (status, *beside.show()))


class _Beside:
    """Commands that run one by one in a thread, with their output in files of `folder`."""

    def __init__(self, commands: Sequence[Sequence[str]], folder: Path) -> None:
        self._commands, self._folder = commands, folder
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()  # held while a process begins, and by whoever ends it
        self._process: subprocess.Popen[bytes] | None = None
        self._is_ended = False
        self._statuses: list[int] = []

    def start(self) -> None:
        """Begin; again has no effect."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()

    def join(self) -> None:
        """Wait until all have ended."""
        if self._thread is not None:
            self._thread.join()

    def end(self) -> None:
        """Interrupt what still runs, and begin no further one."""
        with self._lock:
            self._is_ended = True
            process = self._process
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(_END_WAIT_S)
            except subprocess.TimeoutExpired:
                process.kill()
        self.join()

    def show(self) -> list[int]:
        """Print what each has printed, in order; their exit statuses."""
        for number in range(len(self._statuses)):
            sys.stdout.write((self._folder / str(number)).read_text(errors="replace"))
        sys.stdout.flush()
        return self._statuses

    def _run(self) -> None:
        for number, command in enumerate(self._commands):
            with (self._folder / str(number)).open("wb") as output:
                try:
                    process = self._begin(command, output)
                except OSError as error:
                    output.write(f"{command[0]} cannot be run: {error}\n".encode())
                    self._statuses.append(1)
                    continue
                if process is None:
                    return
                self._statuses.append(process.wait())

    def _begin(self, command: Sequence[str], output: IO[bytes]) -> subprocess.Popen[bytes] | None:
        with self._lock:
            if not self._is_ended:
                self._process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
            return None if self._is_ended else self._process
