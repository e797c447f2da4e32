"""A server whose output nobody reads any more: it stops, watches and ends like any other."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.serving import REPOSITORY, wait_for_url
from tests.support.waiting import wait_until

ENDS_WITHIN_S = 5.0
MARGIN_S = 15.0
"""For a loaded machine; without an end to it the process would be there for ever."""

PROGRAM = """
import sys, threading, warnings
from pathlib import Path
from robotkit.drivers.fake.gripper import FakeGripper
from robotkit.drivers.fake.robot import FakeRobot
from servers.__main__ import main

measure = FakeRobot._measure

def fail(self):
    threading.Thread(target=lambda: [][1]).start()
    warnings.warn("the gripper")
    raise OSError("the gripper's cable")

def measure_or_fail(self):
    if Path({cable!r}).exists():
        raise OSError("the arm's cable")
    return measure(self)

FakeGripper.get_state = fail
FakeRobot._measure = measure_or_fail
sys.argv = ["robotkit-serve", "--cell", {cell!r}, "--port", "0"]
main()
"""
CELL = """
name = "lab"
clock = "real"
[world]
type = "fake"
[robot]
type = "fake"
joint_speed_rad_s = 0.01
[gripper]
type = "fake"
[limits]
state_max_age_s = 0.5
"""
FAR = {"joint_positions_rad": [2.0, 0.0, 0.0, -1.9, 0.0, 2.0, 0.0]}


def _fill(file: int) -> None:
    """Write into a pipe until it takes no more; whoever writes to it afterwards waits."""
    flags = fcntl.fcntl(file, fcntl.F_GETFL)
    fcntl.fcntl(file, fcntl.F_SETFL, flags | os.O_NONBLOCK)
    for size in (4096, 1):
        try:
            while True:
                os.write(file, b"x" * size)
        except BlockingIOError:
            pass
    fcntl.fcntl(file, fcntl.F_SETFL, flags)


@contextmanager
def process_with_full_output(program: str, has_url: bool) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A process with a Python program whose output is one pipe, full once it has told its URL or from the beginning."""
    reading, writing = os.pipe()
    try:
        if not has_url:
            _fill(writing)
        process = subprocess.Popen(
            [sys.executable, "-c", program], cwd=REPOSITORY, stdout=writing, stderr=writing, text=True
        )
        try:
            with open(reading, closefd=False) as process.stdout:
                url = wait_for_url(process) if has_url else ""
                _fill(writing)
                yield url, process
        finally:
            process.kill()
            process.wait()
    finally:
        os.close(reading)
        os.close(writing)


def test_b2_a_server_whose_output_nobody_reads_stops_watches_and_ends(tmp_path: Path) -> None:
    cell, cable = tmp_path / "lab.toml", tmp_path / "cable"
    cell.write_text(CELL)
    program = PROGRAM.format(cell=str(cell), cable=str(cable))
    with (
        process_with_full_output(program, has_url=True) as (url, process),
        httpx.Client(base_url=url, trust_env=False, timeout=20.0) as http,
    ):
        answers: list[str] = []
        mover = threading.Thread(
            target=lambda: answers.append(
                httpx.post(f"{url}/v1/robot/joint_move", json=FAR, trust_env=False, timeout=60.0).text
            )
        )
        mover.start()
        wait_until(lambda: http.get("/v1/robot/state").json()["mode"] == "travelling")
        assert "the gripper's cable" in http.get("/v1/gripper/state").json()["message"]
        process.send_signal(signal.SIGTSTP)
        wait_until(lambda: http.get("/v1/robot/state").json()["mode"] == "stopped")
        assert http.post("/v1/robot/stop").status_code == 204
        mover.join(20.0)
        assert "motion_failed" in answers[0]
        assert http.post("/v1/robot/recover").status_code == 204
        cable.touch()
        wait_until(lambda: http.get("/v1/robot/state").json()["mode"] == "fault")
        assert http.get("/v1/robot/state").json()["stop"] is None  # the watch has not hung until there was no state
        process.send_signal(signal.SIGTERM)
        assert process.wait(ENDS_WITHIN_S + MARGIN_S) == 0


HANGS = """
import logging, threading
from servers.ending import end_within, prepare_to_end
prepare_to_end()
threading.Thread(target=logging.error, args=("a line that keeps the lock of its handler",), daemon=True).start()
end_within(0.1)
threading.Event().wait()
"""
PRINTS = """
import sys
from servers.ending import end_for_certain
sys.stdout = open(1, "w", buffering=4096)
print("a line that Python itself writes at its end")
end_for_certain(0.1)
"""


@pytest.mark.parametrize(("program", "status"), [(HANGS, 1), (PRINTS, -signal.SIGALRM)], ids=["hangs", "prints"])
def test_f9_a_process_that_hangs_ends_also_while_nobody_reads_its_output(program: str, status: int) -> None:
    with process_with_full_output(program, has_url=False) as (_, process):
        assert process.wait(MARGIN_S) == status
