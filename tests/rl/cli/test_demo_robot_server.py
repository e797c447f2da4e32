"""C, U14: whatever ends a program that started a robot server, the server ends too, and so does its arm's motion."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from rl.cli.demonstration.robot_server import RobotServer
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[3]
PROGRAM = """
import sys, time
from pathlib import Path
from rl.cli.demonstration.robot_server import RobotServer
with RobotServer("fake", Path(sys.argv[1])) as server:
    print(server.url, flush=True)
    time.sleep(600)
"""


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/v1/health", timeout=2.0, trust_env=False).is_success
    except httpx.TransportError:
        return False


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_u14_a_server_ends_with_the_program_that_started_it(tmp_path: Path, end: signal.Signals):
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "log")], stdout=subprocess.PIPE, text=True, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert program.stdout is not None
    with program.stdout:
        url = program.stdout.readline().strip()
    assert answers(url)
    program.send_signal(end)
    program.wait(20.0)
    wait_until(lambda: not answers(url), 20.0)


def test_a_server_lives_as_long_as_its_block(tmp_path: Path):
    with RobotServer("fake", tmp_path / "log") as server:
        assert answers(server.url)
    assert not answers(server.url)
