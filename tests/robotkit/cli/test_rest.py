"""`brought_to_rest`: an arm that cannot be held is stopped, and rest is told by places, whatever fails or hangs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest

import robotkit as rk
from robotkit.cli.operation import rest
from robotkit.cli.operation.rest import brought_to_rest

NOT_CONFIRMED = "STOP NOT CONFIRMED - USE THE HARDWARE STOP"
BOUNDS = {"hold": ["_HOLD_S"], "stop": ["_STOP_S"], "get_state": ["_REST_TIMEOUT_S", "_MEASUREMENT_TIMEOUT_S"]}


class BrokenArm:
    """Raises what it is told to from `hold`, `stop` and `get_state`, or hangs in them until the test is over."""

    def __init__(self, over: threading.Event, state: rk.RobotState, **failures: BaseException | None) -> None:
        self.calls: list[str] = []
        self._over, self._state, self._failures = over, state, failures

    def _do(self, name: str) -> None:
        self.calls.append(name)
        if name in self._failures:
            error = self._failures[name]
            if error is None:
                self._over.wait(60.0)
            else:
                raise error

    def hold(self) -> None:
        self._do("hold")

    def stop(self) -> None:
        self._do("stop")

    def get_state(self) -> rk.RobotState:
        self._do("get_state")
        self._state = self._state.model_copy(update={"stamp_s": self._state.stamp_s + 0.06})
        return self._state


@pytest.fixture
def breaking(monkeypatch) -> Iterator[Callable[..., tuple[rk.Workcell, BrokenArm]]]:
    """Makes a cell on a clock that runs by itself, with a broken arm."""
    over = threading.Event()
    monkeypatch.setattr(rest, "_POLL_PERIOD_S", 0.0)

    def make(**failures: BaseException | None) -> tuple[rk.Workcell, BrokenArm]:
        for call, limits in BOUNDS.items():
            for limit in limits:
                monkeypatch.setattr(rest, limit, 0.01 if failures.get(call, ...) is None else 60.0)
        cell = rk.make_workcell("fake", clock="real")
        with cell:
            state = cell.robot.get_state()
        cell.robot = arm = BrokenArm(over, state, **failures)
        return cell, arm

    yield make
    over.set()


FAILURES = [
    rk.ConnectionFailed("nobody answers"),
    OSError("socket busy"),
    rk.StepTooLarge("a plugin refuses to hold"),
    KeyboardInterrupt(),
    SystemExit(3),
    None,
]


def name_of(failure: BaseException | None) -> str:
    return "hangs" if failure is None else type(failure).__name__


@pytest.mark.parametrize("failure", FAILURES, ids=name_of)
@pytest.mark.parametrize("cause", [ZeroDivisionError, KeyboardInterrupt])
def test_an_arm_that_cannot_be_held_is_stopped(breaking, failure, cause):
    cell, arm = breaking(hold=failure)
    with pytest.raises(cause), brought_to_rest(cell):
        raise cause
    assert arm.calls[:2] == ["hold", "stop"]


@pytest.mark.parametrize("broken", ["stop", "get_state"])
@pytest.mark.parametrize("failure", FAILURES, ids=name_of)
def test_where_rest_is_not_confirmed_the_hardware_stop_is_named(breaking, broken, failure, capsys):
    cell, arm = breaking(hold=OSError("socket busy"), **{broken: failure})
    with pytest.raises(rk.MotionFailed, match=NOT_CONFIRMED) as found, brought_to_rest(cell):
        raise KeyboardInterrupt
    assert isinstance(found.value.__cause__, KeyboardInterrupt)
    assert arm.calls[:2] == ["hold", "stop"]
    assert "at rest" not in capsys.readouterr().out


def test_an_arm_that_holds_is_not_stopped(breaking, capsys):
    cell, arm = breaking()
    with pytest.raises(KeyboardInterrupt), brought_to_rest(cell):
        raise KeyboardInterrupt
    assert "stop" not in arm.calls
    assert "the arm is at rest" in capsys.readouterr().out


@pytest.mark.parametrize("error", [rk.RobotStopped("by Ada"), rk.ControlHeld("another client commands this cell")])
def test_an_arm_that_is_stopped_or_of_somebody_else_is_not_stopped_again(breaking, error, capsys):
    cell, arm = breaking(hold=error)
    with pytest.raises(KeyboardInterrupt), brought_to_rest(cell):
        raise KeyboardInterrupt
    is_of_others = isinstance(error, rk.ControlHeld)
    assert "stop" not in arm.calls
    assert ("get_state" in arm.calls) != is_of_others
    assert ("the arm is at rest" in capsys.readouterr().out) != is_of_others


def test_what_was_refused_takes_no_control_of_an_arm_of_somebody_else(breaking):
    cell, arm = breaking()
    with pytest.raises(rk.ControlHeld), brought_to_rest(cell):
        raise rk.ControlHeld("another client commands this cell")
    assert not arm.calls


@pytest.mark.parametrize("clock", ["real", "lockstep"])
def test_nothing_is_waited_for_in_lock_step(breaking, monkeypatch, clock):
    cell, arm = breaking()
    monkeypatch.setattr(type(cell.clock), "is_lockstep", clock == "lockstep")
    with pytest.raises(ZeroDivisionError), brought_to_rest(cell):
        raise ZeroDivisionError
    assert (arm.calls == ["hold"]) == (clock == "lockstep")


@pytest.mark.parametrize(("way_rad", "is_at_rest"), [(0.0019, True), (0.0021, False)])
def test_an_arm_is_at_rest_where_it_is_measured_within_2_mrad_whatever_speed_it_tells(
    breaking, monkeypatch, way_rad, is_at_rest
):
    _, arm = breaking()
    monkeypatch.setattr(rest, "_REST_TIMEOUT_S", 0.5)
    looks, standing = iter(range(10**6)), arm._state

    def trembling() -> rk.RobotState:
        joints_rad, look = standing.joint_positions_rad.copy(), next(looks)
        joints_rad[3] += way_rad * (look % 2)
        return standing.model_copy(
            update={"stamp_s": 0.06 * look, "joint_positions_rad": joints_rad, "joint_velocities_rad_s": np.ones(7)}
        )

    monkeypatch.setattr(arm, "get_state", trembling)
    if is_at_rest:
        rest._wait_for_rest(arm)
    else:
        with pytest.raises(rk.MotionFailed, match=r"turned 0\.002 rad within 0\.12 s \(allowed: 0\.002 rad\)"):
            rest._wait_for_rest(arm)


def test_an_arm_whose_measurement_is_repeated_is_not_at_rest(breaking, monkeypatch):
    _, arm = breaking()
    monkeypatch.setattr(rest, "_REST_TIMEOUT_S", 0.05)
    monkeypatch.setattr(arm, "get_state", lambda: arm._state)
    with pytest.raises(rk.MotionFailed, match=r"measured for less than 0\.1 s"):
        rest._wait_for_rest(arm)
