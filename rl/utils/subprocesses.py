"""Processes of one run: how they are started, stopped, supervised and restarted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Protocol

PARENT_VARIABLE = "RL_PARENT_PID"

USER_ERROR = 2
"""Exit status of a process whose user has to change something: another start would end the same way."""

ERROR_PREFIX = "error: "
"""Beginning of the sentence on stderr that an error of the user becomes."""

_PARENT_POLL_PERIOD_S = 1.0


class Stop(Protocol):
    """The protocol of a request that a loop ends."""

    def is_set(self) -> bool:
        """True when the loop should end after this step."""
        ...

    def wait(self, timeout: float) -> bool:
        """Wait for that for some seconds at most."""
        ...


class StopSignal:
    """Set by Ctrl+C, by SIGTERM, or when the process that started this one is gone."""

    def __init__(self) -> None:
        self._is_set = False
        self._wake: SimpleQueue[None] = SimpleQueue()
        """Re-entrant, as no `threading.Event` is: a handler may come anywhere in the wait of its own thread."""
        self._parent = int(os.environ.get(PARENT_VARIABLE, "0"))
        self._looked_s = 0.0

    def listen(self) -> StopSignal:
        """Install the handlers; main thread only."""
        signal.signal(signal.SIGTERM, self._handle)
        signal.signal(signal.SIGINT, self._handle)
        return self

    def set(self) -> None:
        """Ask for the end; also from a signal handler."""
        self._is_set = True
        self._wake.put(None)

    def is_set(self) -> bool:
        """True when an end was requested."""
        self._look_for_parent()
        return self._is_set

    def wait(self, timeout: float) -> bool:
        """Wait for that for some seconds at most."""
        with suppress(Empty):
            self._wake.get(timeout=max(0.0, timeout))
            self._wake.put(None)  # for the next one who waits
        return self.is_set()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.set()

    def _look_for_parent(self) -> None:
        now_s = time.monotonic()
        if self._parent and now_s - self._looked_s > _PARENT_POLL_PERIOD_S:
            self._looked_s = now_s
            if os.getppid() != self._parent:
                self.set()


class CurrentStop:
    """Stands for the stop of what goes on now, in an object that lives longer than that; never set in between."""

    def __init__(self) -> None:
        self.now: Stop | None = None

    def is_set(self) -> bool:
        """True when an end was requested of what goes on now."""
        return self.now is not None and self.now.is_set()

    def wait(self, timeout: float) -> bool:
        """Wait for that for some seconds at most."""
        return self.now is not None and self.now.wait(timeout)


def end_with_parent() -> None:
    """Let SIGTERM end this process, which looks at no `StopSignal`, when the process that started it is gone."""
    parent = int(os.environ.get(PARENT_VARIABLE, "0"))
    if parent:
        threading.Thread(target=_terminate_without, args=(parent,), name="parent", daemon=True).start()


def _terminate_without(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_PARENT_POLL_PERIOD_S)
    os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def interrupt_between_steps(stop: StopSignal) -> Iterator[None]:
    """Inside, Ctrl+C sets `stop`, and becomes a `KeyboardInterrupt` at the end; a second Ctrl+C becomes one at once.

    Where a program has a handler of its own, or in another thread than the main one, nothing changes.
    """
    usual = signal.default_int_handler
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGINT) is not usual:
        yield
        return
    is_interrupted = False

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal is_interrupted
        is_interrupted = True
        stop.set()
        signal.signal(signal.SIGINT, usual)

    signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)
    if is_interrupted:
        raise KeyboardInterrupt


def run_module(name: str) -> list[str]:
    """The command line that runs a module of this package, where a folder of the same name hides nothing.

    Python looks for `-m NAME` in the current folder first. It is kept from that unless this package itself was found
    there, in a checkout that is not installed.
    """
    is_checkout = Path(__file__).parents[2] == Path.cwd()
    return [sys.executable, *(() if is_checkout else ("-P",)), "-m", name]


@dataclass
class Child:
    """A process of this run, started again when it fails.

    Args:
        name: for messages and for its log file.
        arguments: what follows `python -m rl`.
        log: file that takes its output.
        restarts_allowed: how often it may fail.
        threads: of numerical libraries.
    """

    name: str
    arguments: Sequence[str]
    log: Path
    restarts_allowed: int
    threads: int = 1
    restarts: int = 0
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def start(self) -> None:
        """Start the process in a session of its own, so that the terminal's Ctrl+C reaches it through us alone."""
        # Threads that spin while they wait for each other make an update 20 times slower when the cores are shared.
        environment = {"OMP_WAIT_POLICY": "PASSIVE", **os.environ, PARENT_VARIABLE: str(os.getpid())}
        environment["OMP_NUM_THREADS"] = str(self.threads)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [*run_module("rl"), *self.arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )

    @property
    def exit_status(self) -> int | None:
        """Exit status of the process; None while it runs."""
        return self.process.poll() if self.process else None

    def restart_if_failed(self) -> bool:
        """Start it again if it failed; True when it was.

        Raises:
            ChildFailed: it failed too often, or for a reason that will not go away.
        """
        status = self.exit_status
        if status is None or status == 0:
            return False
        if self.restarts >= self.restarts_allowed or status == USER_ERROR:
            raise ChildFailed(self.name, status, self.log)
        self.restarts += 1
        self.start()
        return True

    def stop(self, timeout_s: float) -> None:
        """Ask the process to end; after some seconds end it."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class ChildFailed(Exception):
    """A process of the run failed too often.

    Args:
        name: of the process.
        status: its exit status.
        log: where its output is.
    """

    def __init__(self, name: str, status: int, log: Path) -> None:
        lines = log.read_text(errors="replace").strip().splitlines()[-5:] if log.exists() else []
        if status == USER_ERROR and lines and lines[-1].startswith(ERROR_PREFIX):
            super().__init__(f"{name}: {lines[-1].removeprefix(ERROR_PREFIX)} (from {log})")
            return
        said = "\n  ".join(lines) or "nothing"
        how = f"was killed by signal {-status}" if status < 0 else f"ended with exit status {status}"
        super().__init__(f"the {name} {how}; its last lines, from {log}:\n  {said}")
