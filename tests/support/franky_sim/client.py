"""`FrankaSimulator`: starts the simulator's process, injects faults into it, and ends it."""

from __future__ import annotations

import atexit
import functools
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

_REPOSITORY = Path(__file__).parents[3]
_FCI_PORT = 1337


class FrankaSimulator:
    """A simulated arm with a hand, in a process of its own, on a loopback address that nobody else uses.

    Args:
        is_lockstep: physics waits for the client, so that results do not depend on the load of the machine.
        has_table: put a table under the arm, its top 0.25 m above the base.
        is_lenient: do not enforce the communication constraints.
    """

    def __init__(self, *, is_lockstep: bool = False, has_table: bool = False, is_lenient: bool = False) -> None:
        options = {"--lockstep": is_lockstep, "--table": has_table, "--lenient": is_lenient}
        self._options = [name for name, is_on in options.items() if is_on]
        self._process: subprocess.Popen[str] | None = None
        self.host = free_host()

    def start(self) -> FrankaSimulator:
        """Start the process and wait until it listens."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.franky_sim", *self._options, self.host],
            cwd=_REPOSITORY,
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._readline() == "ready\n"
        return self

    @property
    def process_id(self) -> int:
        """Of the simulator's process."""
        assert self._process is not None
        return self._process.pid

    def now_s(self) -> float:
        """Simulated seconds, which a busy machine makes longer than real ones."""
        return float(self.inject()["time_s"])

    def inject(self, **faults: Any) -> dict[str, Any]:
        """Inject faults and wait until they have taken effect; returns what it latched, counted and timed."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(faults) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._readline())
        return answer

    def kill(self) -> None:
        """End the process without a farewell, as a power cut does."""
        if self._process is not None:
            self._process.kill()
            self._close()

    def stop(self) -> None:
        """End the process."""
        self.kill()

    def __enter__(self) -> FrankaSimulator:
        return self.start()

    def __exit__(self, *error: object) -> None:
        self.stop()

    def _readline(self) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def _close(self) -> None:
        assert self._process is not None
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()
        self._process = None


@functools.cache
def shared_simulator() -> FrankaSimulator:
    """One lock-step simulator that lives until the test run ends, and computes nothing while nobody is connected."""
    simulator = FrankaSimulator(is_lockstep=True).start()
    atexit.register(simulator.stop)
    return simulator


def free_host() -> str:
    """A loopback address with nothing at the arm's port; libfranka's port is fixed, so addresses tell arms apart."""
    for last in range(2, 250):
        host = f"127.13.{os.getpid() % 250}.{last}"
        with socket.socket() as probe:
            try:
                probe.bind((host, _FCI_PORT))
            except OSError:
                continue
            return host
    raise OSError("no free loopback address")
