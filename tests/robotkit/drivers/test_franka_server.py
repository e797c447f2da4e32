"""The Franka cell behind the HTTP server: streaming without a lost cycle, a reflex over the wire."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import psutil
import pytest

import robotkit as rk
from tests.serving import served
from tests.support.franky_sim import shared_simulator
from tests.support.franky_sim.cells import franka_cell
from tests.support.waiting import wait_until

_RATE_HZ = 50.0


@pytest.fixture
def remote() -> Iterator[rk.Workcell]:
    """The client's side of the cell; the simulator drops the arm after 20 cycles without an answer."""
    cell = rk.make_workcell(franka_cell(shared_simulator().host))
    with served(cell) as url, rk.make_workcell("remote", url=url) as built:
        built.robot.recover()
        built.reset()
        yield built


def stream(cell: rk.Workcell, duration_s: float) -> tuple[list[rk.RobotState], list[float]]:
    """Draw circles of 2 cm at 50 Hz; returns the states, and how long each step took in seconds."""
    start = cell.robot.get_state().tcp_pose_in_base
    states, latencies_s = [], []
    for index in range(round(duration_s * _RATE_HZ)):
        angle = 2 * np.pi * index / (4 * _RATE_HZ)
        pose = start.copy()
        pose[:2] += 0.02 * np.array([np.cos(angle) - 1.0, np.sin(angle)])
        before_s = time.perf_counter()
        states.append(cell.step(rk.PoseCommand(tcp_pose_in_base=pose)).robot)
        latencies_s.append(time.perf_counter() - before_s)
        time.sleep(max(0.0, 1 / _RATE_HZ - latencies_s[-1]))
    return states, latencies_s


@pytest.mark.parametrize("duration_s", [60.0, pytest.param(600.0, marks=pytest.mark.slow)])
@pytest.mark.timeout(900)
def test_streaming_loses_no_cycle(remote, duration_s):
    stream(remote, 0.2)  # the arm's own count of served cycles begins with the motion
    states, latencies_s = stream(remote, duration_s)
    assert all(state.mode in ("tracking", "holding") and not state.faults for state in states)
    success = [state.control_success_rate for state in states]
    assert np.mean(success) > 0.99
    stamps = [state.stamp_s for state in states]
    assert stamps == sorted(stamps)
    p50_ms, p99_ms = 1e3 * np.percentile(latencies_s, [50, 99])
    print(
        f"{len(states)} steps, no violation, control success mean {np.mean(success):.4f}, lowest {min(success):.2f}; "
        f"step p50 {p50_ms:.2f} ms, p99 {p99_ms:.2f} ms"
    )


def python_threads_s() -> dict[int, float]:
    """CPU time of every Python thread of this process but this one; the server and its drivers run in them."""
    own = {thread.native_id for thread in threading.enumerate()} - {threading.get_native_id()}
    times = psutil.Process().threads()
    return {thread.id: thread.user_time + thread.system_time for thread in times if thread.id in own}


def busiest(work: Callable[[], object]) -> float:
    """Share of a core that the busiest of them takes during `work`."""
    before, start_s = python_threads_s(), time.monotonic()
    work()
    passed_s, after = time.monotonic() - start_s, python_threads_s()
    return max(after[thread] - before.get(thread, 0.0) for thread in after) / passed_s


def test_no_python_thread_is_busy(remote):
    """A thread that spins would take the interpreter lock, and with it a third of a Python law's cycles."""
    idle = busiest(lambda: time.sleep(1.0))
    controlling = busiest(lambda: stream(remote, 2.0))
    print(f"busiest Python thread: {idle:.0%} of a core when idle, {controlling:.0%} at {_RATE_HZ:g} Hz")
    assert idle < 0.15
    assert controlling < 0.4


def test_a_reflex_arrives_with_its_name_and_the_client_goes_on_after_one_call(remote):
    command = rk.PoseCommand(tcp_pose_in_base=remote.robot.get_state().tcp_pose_in_base)
    shared_simulator().inject(reflex="cartesian_reflex")
    wait_until(lambda: remote.robot.get_state().mode == "fault", deadline_s=2.0)
    with pytest.raises(rk.DeviceFault, match="cartesian_reflex"):
        remote.robot.send(command)
    remote.robot.recover()
    assert stream(remote, 0.2)[0][-1].faults == ()
