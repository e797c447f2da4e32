"""A robot server in a process of its own, for as long as a `with` block lasts and its program lives."""

from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from rl.utils.subprocesses import run_module

_START_S = 120.0  # the first start compiles the control law


class RobotServer:
    """Runs `python -m servers` on a free port of this machine.

    Args:
        cell: name or file of the workcell.
        log: file that takes the server's output.
        clock: "lockstep" lets the arm learn faster than real time.
    """

    def __init__(self, cell: str, log: Path, clock: str = "lockstep") -> None:
        self._cell, self._log, self._clock = cell, log, clock
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        arguments = ("--cell", self._cell, "--port", str(self.port), "--clock", self._clock)
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                [*run_module("rl.cli.demonstration.served_until_eof"), *arguments],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self._wait_until_healthy()
        except BaseException:
            self._process.kill()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._process.terminate()
        try:
            self._process.wait(10.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
        finally:
            if self._process.stdin is not None:
                self._process.stdin.close()

    def _wait_until_healthy(self) -> None:
        deadline_s = time.monotonic() + _START_S
        while time.monotonic() < deadline_s:
            if self._process.poll() is not None:
                raise SystemExit(f"the robot server ended at its start; its words are in {self._log}")
            try:
                if httpx.get(f"{self.url}/v1/health", timeout=2.0, trust_env=False).is_success:
                    return
            except httpx.TransportError:
                time.sleep(0.2)
        raise SystemExit(f"the robot server did not answer within {_START_S:g} s; its words are in {self._log}")
