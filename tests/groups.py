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

from tests.parts import GROUPS

_NO_TEST_FITS = 5
_END_WAIT_S = 20.0


def pytest_commands(arguments: Sequence[str]) -> list[list[str]]:
    """The command line of each group."""
    return [[sys.executable, "-m", "pytest", *group.options, *arguments] for group in GROUPS]


def run(commands: Sequence[Sequence[str]]) -> int:
    """Run the first command in the foreground and the others beside it, one for each core; 0 when all went well.

    Many tests wait for time to pass, so that one command more than there are cores keeps all of these at work. A
    machine with a single core runs one after the other.
    """
    first, *others = commands
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder:
        beside = _Beside(others, Path(folder), at_once=cores)
        try:
            if cores > 1:
                beside.start()
            status = subprocess.run(first, check=False).returncode
            beside.start()
            beside.join()
        finally:
            beside.end()
        return max(int(one not in (0, _NO_TEST_FITS)) for one in (status, *beside.show()))


class _Beside:
    """Commands that run in a few threads, each when one is free, with their output in files of `folder`."""

    def __init__(self, commands: Sequence[Sequence[str]], folder: Path, at_once: int) -> None:
        self._folder = folder
        self._waiting = iter(enumerate(commands))
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(at_once)]
        self._lock = threading.Lock()  # held while a process begins, and by whoever ends it
        self._processes: list[subprocess.Popen[bytes]] = []
        self._is_started = self._is_ended = False
        self._statuses: dict[int, int] = {}

    def start(self) -> None:
        """Begin; again has no effect."""
        if not self._is_started:
            self._is_started = True
            for thread in self._threads:
                thread.start()

    def join(self) -> None:
        """Wait until all have ended."""
        if self._is_started:
            for thread in self._threads:
                thread.join()

    def end(self) -> None:
        """Interrupt what still runs, and begin no further one."""
        with self._lock:
            self._is_ended = True
            running = [process for process in self._processes if process.poll() is None]
        for process in running:
            process.send_signal(signal.SIGINT)
        for process in running:
            try:
                process.wait(_END_WAIT_S)
            except subprocess.TimeoutExpired:
                process.kill()
        self.join()

    def show(self) -> list[int]:
        """Print what each has printed, in order; their exit statuses."""
        for number in sorted(self._statuses):
            sys.stdout.write((self._folder / str(number)).read_text(errors="replace"))
        sys.stdout.flush()
        return [self._statuses[number] for number in sorted(self._statuses)]

    def _run(self) -> None:
        while (process := self._begin_next()) is not None:
            number, begun = process
            self._statuses[number] = 1 if begun is None else begun.wait()

    def _begin_next(self) -> tuple[int, subprocess.Popen[bytes] | None] | None:
        """The number of the next command, and its process if it can be run; None when there is nothing to begin."""
        with self._lock:
            if self._is_ended or (waiting := next(self._waiting, None)) is None:
                return None
            number, command = waiting
            with (self._folder / str(number)).open("wb") as output:
                try:
                    process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
                except OSError as error:
                    output.write(f"{command[0]} cannot be run: {error}\n".encode())
                    return number, None
            self._processes.append(process)
            return number, process
