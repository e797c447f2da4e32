"""The Franka drivers against the protocol simulator in lock-step: in this process, and behind the server."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil

import robotkit as rk
from robotkit.remote import RemoteWorkcell
from tests.support.franky_sim import FrankaSimulator
from tests.support.franky_sim.cells import robot_options

Row = dict[str, Any]

CONTROL_PERIOD_S = 0.02
_CELL = """
name = "franka-benchmark"
[robot]
type = "franka"
host = "{host}"
realtime = "ignore"
[gripper]
type = "franka_hand"
host = "{host}"
[limits]
max_translation_step_m = 0.05
max_tcp_speed_m_s = 0.5
max_tcp_rotation_speed_rad_s = 2.0
max_force_n = 40.0
watchdog_s = 0.5
state_max_age_s = 0.5
[limits.workspace]
position_min_m = [0.2, -0.3, 0.3]
position_max_m = [0.6, 0.3, 0.8]
"""


def run(quick: bool) -> list[Row]:
    """Measure and return one row for each figure."""
    seconds = 4.0 if quick else 20.0
    with FrankaSimulator(is_lockstep=True) as simulator:
        return [*driver(simulator, seconds), *server(simulator, seconds)]


def driver(simulator: FrankaSimulator, seconds: float) -> list[Row]:
    """The arm's calls while it is controlled: one after the other, and at the rates of control loops."""
    rows: list[Row] = []
    with rk.make_robot("franka", **robot_options(simulator.host)) as arm:
        command = rk.PoseCommand(tcp_pose_in_base=arm.get_state().tcp_pose_in_base)
        for name, call in (("get_state", arm.get_state), ("send", lambda: arm.send(command))):
            rows.append(_row(f"{name} in a tight loop, p50", 1e6 * np.median(took(call, 5000)), "µs", "caches warm"))
            for rate_hz in (50.0, 100.0):
                took_s = took(call, int(seconds * rate_hz), 1.0 / rate_hz)
                note = "target 50" if name == "get_state" else ""
                rows.append(_row(f"{name} at {rate_hz:g} Hz, p50", 1e6 * np.median(took_s), "µs", note))
    return rows


def server(simulator: FrankaSimulator, seconds: float) -> list[Row]:
    """Steps at 50 Hz through the server, how many cycles the arm missed meanwhile, and what the server computes."""
    with served(simulator) as (cell, process):
        idle = _busy(process, lambda: time.sleep(seconds / 2))
        start = cell.get_state().robot.tcp_pose_in_base
        ways: tuple[tuple[str, Callable[[rk.RobotCommand], rk.CellState]], ...] = (
            ("POST /v1/step", lambda command: _post(cell, command)),
            ("websocket /v1/steps", cell.step),
        )
        rows: list[Row] = []
        states: list[rk.CellState] = []
        busy = 0.0
        for name, step in ways:
            circle = iter(_circle(start, int(seconds / CONTROL_PERIOD_S) + 1))
            took_s: list[float] = []

            def loop(step: Any = step, circle: Any = circle, took_s: list[float] = took_s) -> None:
                took_s += took(lambda: states.append(step(next(circle))), int(seconds / CONTROL_PERIOD_S), 0.02)

            busy = max(busy, _busy(process, loop))
            p50_ms, p99_ms = 1e3 * np.percentile(took_s, [50, 99])
            rows.append(_row(f"{name} at 50 Hz, p50", p50_ms, "ms", "target 3"))
            rows.append(_row(f"{name} at 50 Hz, p99", p99_ms, "ms", "target 6"))
    success = [state.robot.control_success_rate for state in states]
    violations = sum("communication_constraints_violation" in state.robot.faults for state in states)
    return [
        *rows,
        _row("control success, mean", float(np.mean(success)), "", f"lowest {min(success):g}; {violations} violations"),
        _row("busiest thread of the idle server", idle, "cores", "its native 1 kHz loop included"),
        _row("busiest thread of the server at 50 Hz", busy, "cores", "a busy Python thread would show 1.0"),
    ]


@contextmanager
def served(simulator: FrankaSimulator) -> Iterator[tuple[RemoteWorkcell, psutil.Process]]:
    """A connected client of a server that was started for it, and the server's process."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "cell.toml"
        file.write_text(_CELL.format(host=simulator.host))
        command = [sys.executable, "-m", "servers", "--cell", str(file), "--port", "0"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        try:
            found = re.search(r"http://\S+", process.stdout.readline())
            if found is None:
                raise SystemExit("the server did not start; its error is above")
            with rk.make_workcell("remote", url=found.group()) as cell:
                assert isinstance(cell, RemoteWorkcell)
                yield cell, psutil.Process(process.pid)
        finally:
            process.terminate()
            process.communicate()


def took(call: Callable[[], object], times: int, period_s: float = 0.0) -> list[float]:
    """How long each of `times` calls took in s, begun every `period_s` or one after the other."""
    clock, found = rk.RealClock(), []
    for _ in range(times):
        if period_s:
            clock.advance(period_s)
        begun_s = time.perf_counter()
        call()
        found.append(time.perf_counter() - begun_s)
    return found


def _post(cell: RemoteWorkcell, command: rk.RobotCommand) -> rk.CellState:
    request = rk.StepRequest.unchecked(command=command, gripper=None, period_s=0.0)
    return cell.session.ask("/v1/step", request, rk.CellState)


def _circle(start: np.ndarray, count: int) -> Iterator[rk.PoseCommand]:
    """Poses on a circle of 2 cm, a round in 4 s."""
    for index in range(count):
        angle, pose = 2 * np.pi * index * CONTROL_PERIOD_S / 4.0, start.copy()
        pose[:2] += 0.02 * np.array((np.cos(angle) - 1.0, np.sin(angle)))
        yield rk.PoseCommand(tcp_pose_in_base=pose)


def _busy(process: psutil.Process, work: Callable[[], object]) -> float:
    """Cores that the busiest thread of `process` took during `work`."""
    before, begun_s = _thread_times_s(process), time.perf_counter()
    work()
    passed_s, after = time.perf_counter() - begun_s, _thread_times_s(process)
    return max(after[thread] - before.get(thread, 0.0) for thread in after) / passed_s


def _thread_times_s(process: psutil.Process) -> dict[int, float]:
    return {thread.id: thread.user_time + thread.system_time for thread in process.threads()}


def _row(name: str, value: float, unit: str, note: str) -> Row:
    return {"name": name, "value": float(value), "unit": unit, "note": note}
