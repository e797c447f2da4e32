"""A stop from a signal handler, at any line where the Franka driver uses its connection or its filter."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

import robotkit as rk
from robotkit.drivers.franka import FrankaRobot
from tests.support.franky_sim import FrankaSimulator
from tests.support.franky_sim.cells import robot_options
from tests.support.interruption import Interruption, interrupted

_SOURCES = ("franka/link.py", "franka/target.py")


@pytest.fixture(scope="module")
def arm() -> Iterator[FrankaRobot]:
    with (
        FrankaSimulator(is_lockstep=True) as simulator,
        rk.make_robot("franka", **robot_options(simulator.host)) as robot,
    ):
        robot.reset()
        yield robot


def _send(arm: FrankaRobot) -> None:
    pose = arm.get_state().tcp_pose_in_base.copy()
    pose[2] += 0.002
    arm.send(rk.PoseCommand(tcp_pose_in_base=pose))


@pytest.mark.parametrize("call", [lambda arm: arm.get_state(), _send, lambda arm: arm.hold()])
def test_a2_a_stop_from_a_signal_handler_waits_for_no_lock_of_its_own_thread(
    arm: FrankaRobot, call: Callable[[FrankaRobot], object]
):
    line, has_come = 0, True
    while has_come:
        line += 1
        stop = Interruption(line, lambda: arm.stop_for("Ctrl+C", "a signal handler"), _SOURCES)
        error = interrupted(lambda: call(arm), stop)
        has_come = stop.has_come
        assert error is None or isinstance(error, rk.RobotkitError)
        if has_come:
            state = arm.get_state()
            assert state.mode == "stopped"
            assert state.stop is not None
            arm.recover()
            assert arm.get_state().mode == "holding"
    assert line > 5, "there were lines to interrupt"


def test_a2_a_stop_in_a_call_that_holds_the_connection_does_not_wait_for_the_thread_of_the_target(
    arm: FrankaRobot, monkeypatch: pytest.MonkeyPatch
):
    """That thread holds its own lock meanwhile, and waits for the connection's."""
    assert arm._tracking is not None
    link, target, waits = arm._require_link(), arm._tracking._target, threading.Event()

    def time_of_thread() -> float | None:
        waits.set()
        return link.control_time_s()

    monkeypatch.setattr(target, "_now_s", time_of_thread)

    def stop() -> None:
        with link._lock:
            waits.clear()
            assert waits.wait(20.0)
            arm.stop_for("Ctrl+C", "a signal handler")

    stopping = threading.Thread(target=stop, daemon=True)
    stopping.start()
    stopping.join(30.0)
    assert not stopping.is_alive()
    assert arm.get_state().mode == "stopped"
    arm.recover()
