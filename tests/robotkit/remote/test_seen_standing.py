"""Laws of when `robotkit stop` confirms: once the arm was measured standing since the stop, through noise too."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from robotkit.cli import remote as command
from robotkit.cli.seen_standing import SeenStanding
from robotkit.remote import Session

PLACE = np.array([0.1, 0.5, -0.3, -2.0, 0.0, 1.5, 0.7, 0.5, 0.0, 0.3])
DIRECTIONS = [np.array([1.0, 0.0, 0.0]), np.array([1.0, 1.0, 1.0]) / math.sqrt(3.0)]


class Server:
    """Tells the state of an arm at the time that the command's own pauses take, and 5 ms for each answer."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, state: Callable[[float], dict[str, Any]], **health: str
    ) -> None:
        self.now_s, self._state, self._health, self.answer_s = 0.0, state, health, 0.005
        self.asked: list[str] = []
        monkeypatch.setattr(command, "time", SimpleNamespace(monotonic=lambda: self.now_s, sleep=self._pass))

    def look(self) -> str:
        """Why the stop is not confirmed, if it is not."""
        return command._look_for_stop(cast(Session, self))

    def get(self, path: str) -> Any:
        self.asked.append(path)
        self._pass(self.answer_s)
        told = self._health if path == "/v1/health" else {"mode": "stopped", **self._state(self.now_s)}
        return SimpleNamespace(content=json.dumps(told).encode())

    def _pass(self, span_s: float) -> None:
        self.now_s += span_s


def measured(stamp_s: float, place: np.ndarray = PLACE) -> dict[str, Any]:
    return {
        "stamp_s": stamp_s, "joint_positions_rad": list(place[:7]), "tcp_pose_in_base": [*place[7:], 1, 0, 0, 0]
    }  # fmt: skip


def moved(tool_m: np.ndarray) -> np.ndarray:
    return np.concatenate([PLACE[:7], PLACE[7:] + tool_m])


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("speed_m_s", [0.004, 0.008, 0.012, 0.020, 0.024, 0.1, 2.0])
def test_b2_an_arm_that_moves_on_steadily_is_not_confirmed(
    monkeypatch: pytest.MonkeyPatch, speed_m_s: float, direction: np.ndarray
) -> None:
    server = Server(monkeypatch, lambda now_s: measured(now_s, moved(direction * speed_m_s * now_s)), clock="real")
    assert server.look() == "but the arm was not measured standing"
    assert server.now_s == pytest.approx(1.3, abs=0.05)


NOISES = [np.zeros(10), np.array([0.004] * 7 + [0.001] * 3), np.array([0.006] * 7 + [0.0015] * 3)]


@pytest.mark.parametrize("answer_s", [0.005, 0.05, 0.2, 1.2])
@pytest.mark.parametrize("noise", NOISES, ids=["exact", "some noise", "much noise"])
@pytest.mark.parametrize("speed_rad_s", [0.01, 0.02, 0.1])
def test_nor_is_one_of_which_a_single_joint_turns(
    monkeypatch: pytest.MonkeyPatch, speed_rad_s: float, noise: np.ndarray, answer_s: float
) -> None:
    random = np.random.default_rng(0)

    def state(now_s: float) -> dict[str, Any]:
        return measured(now_s, PLACE + np.eye(10)[3] * speed_rad_s * now_s + noise * random.standard_normal(10))

    for _ in range(2):
        server = Server(monkeypatch, state)
        server.answer_s = answer_s
        assert server.look() == "but the arm was not measured standing"


@pytest.mark.parametrize("answer_s", [0.005, 0.1, 0.25, 0.3, 0.48, 0.5, 0.98, 1.0, 1.2])
def test_nor_is_one_that_swings_however_seldom_and_at_what_times_it_is_seen(
    monkeypatch: pytest.MonkeyPatch, answer_s: float
) -> None:
    for rate_hz in (0.5, 0.8, 1.0, 1.25, 1.6, 2.0):
        for phase_rad in np.arange(0.0, math.tau, 0.7):

            def state(now_s: float, rate_hz: float = rate_hz, phase_rad: float = phase_rad) -> dict[str, Any]:
                turn_rad = 0.2 * math.sin(math.tau * rate_hz * now_s + phase_rad)
                return measured(now_s, PLACE + np.eye(10)[0] * turn_rad)

            server = Server(monkeypatch, state)
            server.answer_s = answer_s
            assert server.look() == "but the arm was not measured standing"


@pytest.mark.parametrize("answer_s", [0.005, 0.2, 1.2])
def test_nor_is_one_that_falls(monkeypatch: pytest.MonkeyPatch, answer_s: float) -> None:
    for until_s in (0.0, 0.1):
        server = Server(
            monkeypatch,
            lambda now_s, at_s=until_s: measured(
                now_s, moved(np.array([0.0, 0.0, -4.9 * max(0.0, now_s - at_s) ** 2]))
            ),
        )
        server.answer_s = answer_s
        assert server.look() == "but the arm was not measured standing"


def test_nor_is_one_that_goes_to_and_fro(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(monkeypatch, lambda now_s: measured(now_s, moved(DIRECTIONS[0] * 0.005 * math.sin(20.0 * now_s))))
    assert server.look() == "but the arm was not measured standing"


@pytest.mark.parametrize("sigma", NOISES[1:], ids=["some noise", "much noise"])
@pytest.mark.parametrize("seed", range(40))
def test_one_that_stands_is_confirmed_through_the_noise_of_its_sensors(
    monkeypatch: pytest.MonkeyPatch, seed: int, sigma: np.ndarray
) -> None:
    random = np.random.default_rng(seed)
    server = Server(monkeypatch, lambda now_s: measured(now_s, PLACE + sigma * random.standard_normal(10)))
    assert server.look() == ""
    assert server.now_s >= 0.6


def test_a_normal_stop_is_confirmed_a_fifth_of_a_second_after_the_arm_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(monkeypatch, measured)
    assert server.look() == ""
    assert 0.2 <= server.now_s <= 0.3
    server = Server(
        monkeypatch, lambda now_s: measured(now_s, moved(DIRECTIONS[0] * -0.3 * max(0.0, 0.3 - now_s) ** 2))
    )
    assert server.look() == ""
    assert 0.4 <= server.now_s <= 0.6, "it brakes for 0.3 s"


@pytest.mark.parametrize(
    "state",
    [lambda _: measured(7.0), lambda _: {}, lambda _: {"stamp_s": None}, lambda now_s: {"stamp_s": now_s}],
    ids=["frozen", "nothing told", "no stamp", "no place"],
)
def test_b2_of_an_arm_that_was_not_measured_since_the_stop_none_is_confirmed_but_in_lock_step(
    monkeypatch: pytest.MonkeyPatch, state: Callable[[float], dict[str, Any]]
) -> None:
    for health in ({"clock": "real"}, {}):
        server = Server(monkeypatch, state, **health)
        assert server.look() == "but nothing was measured since"
        assert server.asked.count("/v1/health") == 1
    server = Server(monkeypatch, state, clock="lockstep")
    assert server.look() == ""
    assert server.now_s <= 0.35


def test_in_lock_step_whose_time_goes_slowly_a_latched_stop_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(monkeypatch, lambda now_s: measured(0.1 * now_s), clock="lockstep")
    assert server.look() == ""


def test_what_a_reading_of_before_the_stop_says_counts_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(monkeypatch, lambda now_s: measured(7.0 if now_s < 0.3 else 7.5), clock="real")
    assert server.look() == "but the arm was not measured standing"


@pytest.mark.parametrize("clock", ["real", "lockstep"])
@pytest.mark.parametrize(
    ("what", "why"),
    [("moves_on", "the arm moves although it is stopped"), ("is_halt_owed", "its device has not taken it")],
)
def test_an_arm_that_is_told_moving_or_not_to_have_taken_its_stop_is_not_confirmed(
    monkeypatch: pytest.MonkeyPatch, what: str, why: str, clock: str
) -> None:
    server = Server(monkeypatch, lambda now_s: {**measured(now_s), what: True}, clock=clock)
    assert why in server.look()


@pytest.mark.parametrize("answer_s", [0.005, 0.1, 0.3, 0.5, 0.7, 1.0, 2.0])
@pytest.mark.parametrize("speed_m_s", [0.0, 0.012])
def test_over_a_slow_network_an_arm_that_stands_is_confirmed_and_one_that_moves_is_not(
    monkeypatch: pytest.MonkeyPatch, answer_s: float, speed_m_s: float
) -> None:
    along = DIRECTIONS[0] * speed_m_s
    server = Server(monkeypatch, lambda now_s: measured(now_s, moved(along * now_s)), clock="real")
    server.answer_s = answer_s
    assert bool(server.look()) == (speed_m_s > 0.0)


@pytest.mark.parametrize(("until_s", "is_confirmed"), [(0.3, True), (1.2, True), (1.8, True), (2.5, False)])
def test_an_arm_that_was_seen_moving_is_confirmed_once_it_has_stood_for_a_second(
    monkeypatch: pytest.MonkeyPatch, until_s: float, is_confirmed: bool
) -> None:
    def state(now_s: float) -> dict[str, Any]:
        return {**measured(now_s, moved(DIRECTIONS[0] * min(now_s, until_s))), "moves_on": now_s <= until_s}

    server = Server(monkeypatch, state, clock="real")
    assert bool(server.look()) != is_confirmed
    assert server.now_s >= min(until_s + 1.0, 3.0)


def test_one_that_was_seen_moving_is_not_confirmed_where_it_turns_round(monkeypatch: pytest.MonkeyPatch) -> None:
    def state(now_s: float) -> dict[str, Any]:
        speed_m_s = 0.079 * math.cos(math.tau * 0.25 * now_s)
        place = moved(DIRECTIONS[0] * 0.05 * math.sin(math.tau * 0.25 * now_s))
        return {**measured(now_s, place), "moves_on": abs(speed_m_s) > 0.03}

    for began_s in np.arange(0.0, 4.0, 0.25):
        if abs(math.cos(math.tau * 0.25 * began_s)) > 0.4:
            server = Server(monkeypatch, state, clock="real")
            server.now_s = float(began_s)
            assert server.look()


def stands(stamps_s: np.ndarray, ways: np.ndarray, part: int) -> bool:
    """Of an arm that is seen at these times so far along one joint, or one direction of the tool."""
    seen = SeenStanding()
    seen.add(measured(float(stamps_s[0]) - 0.05, PLACE))
    for stamp_s, way in zip(stamps_s, ways, strict=True):
        seen.add(measured(float(stamp_s), PLACE + np.eye(10)[part] * way))
    return seen.stands()


@pytest.mark.parametrize(
    ("part", "noise", "far", "rate_s"), [(3, 0.01, 0.03, 0.008), (8, 0.0025, 0.01, 0.003)], ids=["joint", "tool"]
)
def test_one_is_within_so_much_of_noise_and_surely_goes_no_faster(
    part: int, noise: float, far: float, rate_s: float
) -> None:
    stamps_s = 0.02 * np.arange(102)
    to_and_fro = (-1.0) ** np.arange(102) * noise / 1.4826
    assert stands(stamps_s, 0.98 * to_and_fro, part)
    assert not stands(stamps_s, 1.02 * to_and_fro, part)
    one_is_far = np.where(np.arange(102) == 95, far, 0.0)
    assert stands(stamps_s[:100], 0.99 * one_is_far[:100], part)
    assert not stands(stamps_s[:100], 1.05 * one_is_far[:100], part)
    assert stands(stamps_s, 0.99 * rate_s * stamps_s, part)
    assert not stands(stamps_s, 1.01 * rate_s * stamps_s, part)
    since_s = stamps_s[-101:] - stamps_s[-101:].mean()
    slow_s = rate_s - 3.0 * 0.98 * noise / math.sqrt(since_s @ since_s)
    assert stands(stamps_s, 0.9 * slow_s * stamps_s + 0.98 * to_and_fro, part)
    assert not stands(stamps_s, 1.1 * slow_s * stamps_s + 0.98 * to_and_fro, part)


@pytest.mark.parametrize(
    ("stamps_s", "is_told"),
    [
        ([0.0, 0.06, 0.12, 0.19], False), ([0.0, 0.06, 0.12, 0.2], True), ([0.0, 0.1, 0.2], False),
        ([0.0, 2.0, 4.0, 8.0], True), ([0.0, 2.0, 4.0, 8.01], False),
    ],
)  # fmt: skip
def test_four_places_tell_that_an_arm_stands_when_they_are_as_far_apart_as_they_have_to_be(
    stamps_s: list[float], is_told: bool
) -> None:
    assert stands(np.array(stamps_s), np.zeros(len(stamps_s)), 3) is is_told


def test_where_noise_hides_whether_an_arm_stands_it_is_looked_at_for_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    sign = itertools.cycle([1.0, -1.0])
    server = Server(monkeypatch, lambda now_s: measured(now_s, moved(DIRECTIONS[0] * 0.003 * next(sign))))
    assert server.look() == "but the arm was not measured standing"
    assert server.now_s == pytest.approx(4.0, abs=0.05)
