"""The robot server around the MuJoCo cell, in a process of its own, over a real socket."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

import robotkit as rk
from benchmarks import stop
from robotkit.remote import RemoteWorkcell

CELL = "mujoco-pick-cube"
CONTROL_PERIOD_S = 0.02
STREAM_RATE_HZ = 500.0

Row = dict[str, Any]
Step = Callable[[float], rk.CellState]


def run(quick: bool) -> list[Row]:
    """Measure and return one row for each figure."""
    seconds = 4.0 if quick else 20.0
    rows: list[Row] = []
    with served("real") as cell:
        rows += control_loop(cell, seconds)
        rows += streaming(cell, seconds)
        rows += stop.run(cell, 100 if quick else 400)
    with served("lockstep") as cell:
        rows += lockstep(cell, 500 if quick else 3000)
    return rows


@contextmanager
def served(clock: str) -> Iterator[RemoteWorkcell]:
    """A connected client of a server that was started for it."""
    command = [sys.executable, "-m", "servers", "--cell", CELL, "--clock", clock, "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        found = re.search(r"http://\S+", process.stdout.readline())
        if found is None:
            raise SystemExit("the server did not start; its error is above")
        with rk.make_workcell("remote", url=found.group()) as cell:
            assert isinstance(cell, RemoteWorkcell)
            cell.reset(seed=0)
            yield cell
    finally:
        process.terminate()
        process.communicate()


def control_loop(cell: RemoteWorkcell, seconds: float) -> list[Row]:
    """Latency of a step that does not wait, asked for at 50 Hz, and what the physics did meanwhile."""
    post, _ = ways(cell)
    clock = rk.RealClock()
    took_s: list[float] = []
    start = time.monotonic(), post(0.0).robot.stamp_s
    for _ in range(int(seconds / CONTROL_PERIOD_S)):
        clock.advance(CONTROL_PERIOD_S)
        asked_s = time.perf_counter()
        state = post(0.0)
        took_s.append(time.perf_counter() - asked_s)
    factor = (state.robot.stamp_s - start[1]) / (time.monotonic() - start[0])
    p50_ms, p99_ms = 1000.0 * np.percentile(took_s, [50, 99])
    return [
        _row(
            "POST /v1/step at 50 Hz, p50", p50_ms, "ms", "target 2; command, gripper and whole state in one round trip"
        ),
        _row("POST /v1/step at 50 Hz, p99", p99_ms, "ms", "target 6"),
        _row("real-time factor while polled", factor, "", "target 1.00; simulated time over wall time"),
    ]


def streaming(cell: RemoteWorkcell, seconds: float) -> list[Row]:
    """Rate at which states arrive, and the age of the newest one whenever it is looked at."""
    with cell.stream(STREAM_RATE_HZ, max_age_s=1.0) as stream:
        stream.latest()
        cell.clock.now_s()
        start = time.monotonic(), stream.received
        ages_s: list[float] = []
        while time.monotonic() - start[0] < seconds:
            time.sleep(0.01)
            ages_s.append(cell.clock.now_s() - stream.latest().robot.stamp_s)
        rate_hz = (stream.received - start[1]) / (time.monotonic() - start[0])
    half = len(ages_s) // 2
    growth_ms = 1000.0 * (np.median(ages_s[half:]) - np.median(ages_s[:half]))
    return [
        _row("stream, states received", rate_hz, "Hz", f"asked for {STREAM_RATE_HZ:g}"),
        _row("stream, age of the newest state, p50", 1000.0 * np.median(ages_s), "ms", "seen by the client"),
        _row("stream, age of the newest state, max", 1000.0 * max(ages_s), "ms", ""),
        _row("stream, growth of the age", growth_ms, "ms", "second half minus first half; about 0: nothing queues up"),
    ]


def lockstep(cell: RemoteWorkcell, steps: int) -> list[Row]:
    """Control steps per second when nothing waits for the wall clock, by both ways of asking for them."""
    rows = []
    for name, step in zip(("POST /v1/step", "websocket /v1/steps"), ways(cell), strict=True):
        for _ in range(50):
            step(CONTROL_PERIOD_S)
        start_s = time.perf_counter()
        for _ in range(steps):
            step(CONTROL_PERIOD_S)
        rate_hz = steps / (time.perf_counter() - start_s)
        factor = f"one client; {rate_hz * CONTROL_PERIOD_S:.1f} times real time"
        rows.append(_row(f"lock-step through {name}", rate_hz, "steps/s", factor))
    return rows


def ways(cell: RemoteWorkcell) -> tuple[Step, Step]:
    """One control step as a web request, and as `RemoteWorkcell.step` sends it."""
    command = rk.PoseCommand(tcp_pose_in_base=cell.get_state().robot.tcp_pose_in_base)
    gripper = rk.GripperCommand(position=1.0)

    def post(period_s: float) -> rk.CellState:
        request = rk.StepRequest.unchecked(command=command, gripper=gripper, period_s=period_s)
        return cell.session.ask("/v1/step", request, rk.CellState)

    return post, lambda period_s: cell.step(command, gripper, period_s)


def _row(name: str, value: float, unit: str, note: str) -> Row:
    return {"name": name, "value": float(value), "unit": unit, "note": note}
