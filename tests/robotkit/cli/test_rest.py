"""`brought_to_rest`: an arm that cannot be held is stopped, and rest is told by places, whatever fails or hangs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest

import robotkit as rk
from robotkit.cli.operation import rest
from robotkit.cli.operation.rest import Rest, brought_to_rest

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


PERIOD_S = 0.02


def seen(places_rad: np.ndarray, speeds_rad_s: np.ndarray, period_s: float = PERIOD_S) -> list[bool]:
    """What `Rest` says of one joint's places and measured speeds, from the first sample on."""
    cell = rk.make_workcell("fake")
    with cell:
        state, looks = cell.robot.get_state(), Rest()
    found = []
    for index, (place_rad, speed_rad_s) in enumerate(zip(places_rad, speeds_rad_s, strict=True)):
        joints_rad, velocities_rad_s = state.joint_positions_rad.copy(), np.zeros(7)
        joints_rad[3], velocities_rad_s[3] = place_rad, speed_rad_s
        update = {
            "stamp_s": index * period_s, "joint_positions_rad": joints_rad, "joint_velocities_rad_s": velocities_rad_s
        }  # fmt: skip
        found.append(looks.is_seen_in(state.model_copy(update=update)))
    return found


TIMES_S = PERIOD_S * np.arange(12)
AFTER_THE_WINDOW = [False] * 5 + [True] * 7


def test_a_standing_arm_whose_measured_speed_carries_noise_is_at_rest():
    noise_rad_s = np.random.default_rng(0).normal(scale=0.05, size=12)
    assert seen(np.full(12, 0.4), noise_rad_s) == AFTER_THE_WINDOW


@pytest.mark.parametrize("speed_rad_s", [0.025, 0.5, -0.5])
def test_an_arm_that_turns_is_not_at_rest_whatever_speed_it_tells(speed_rad_s):
    assert not any(seen(speed_rad_s * TIMES_S, np.zeros(12)))


def test_an_arm_that_turns_back_within_the_window_is_not_at_rest():
    assert not any(seen(0.01 * np.sin(2.0 * np.pi * TIMES_S / 0.1), np.zeros(12)))


def test_an_arm_that_comes_to_rest_is_at_rest_one_window_later():
    places_rad = np.minimum(0.5 * TIMES_S, 0.5 * TIMES_S[3])
    assert seen(places_rad, np.zeros(12)) == [False] * 8 + [True] * 4


def test_a_measurement_that_is_repeated_is_no_rest():
    assert not any(seen(np.zeros(12), np.zeros(12), period_s=0.0))
