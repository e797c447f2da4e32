"""SpaceMouse, gamepad and keyboard: where a hand's push goes, and what happens when the device goes."""

from __future__ import annotations

import os
import pty
import termios
from collections.abc import Iterator

import numpy as np
import pytest
from evdev import ecodes

import robotkit as rk
from robotkit.drivers.teleop import polled_teleop
from robotkit.drivers.teleop.gamepad import Gamepad, GamepadConfig
from robotkit.drivers.teleop.keyboard import Keyboard
from robotkit.drivers.teleop.operator import OperatorConfig, reading
from robotkit.drivers.teleop.spacemouse import SpaceMouse, SpaceMouseConfig
from robotkit.registry import teleops
from tests.support.fake_hid import FakePad, FakeSpaceMouse
from tests.support.waiting import is_fine, wait_for_error, wait_until

FULL = 350
"""Counts of a fully deflected puck."""
MOVES = "wsadrfouikjl"
"""Keys of the six axes, forwards and backwards."""


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """A machine that is busy for a quarter of a second is no unplugged device."""
    monkeypatch.setattr(polled_teleop, "_MAX_AGE_S", 60.0)


def mouse_options(**options: object) -> SpaceMouseConfig:
    """Unchecked: a test on a busy machine holds a deflection for longer than a person may."""
    return SpaceMouseConfig.unchecked(**dict(SpaceMouseConfig()) | options)


def mouse_on(puck: FakeSpaceMouse, **options: object) -> SpaceMouse:
    return SpaceMouse(mouse_options(**options), rk.CellContext(name="hand"), puck.open)


def pad_on(pad: FakePad, **options: object) -> Gamepad:
    return Gamepad(GamepadConfig(**options), rk.CellContext(name="hand"), pad.open)


@pytest.mark.parametrize(
    ("report", "moves", "axis", "sign"),
    [
        ("push", "right", 1, 1), ("push", "back", 0, 1), ("push", "down", 2, -1),
        ("turn", "about_right", 4, 1), ("turn", "about_back", 3, 1), ("turn", "about_down", 5, -1),
    ],
)  # fmt: skip
def test_an_operator_who_faces_the_robot_pushes_it_where_the_puck_goes(report, moves, axis, sign):
    """SERL's convention: the base's x comes towards the operator, its y goes to the operator's right."""
    puck = FakeSpaceMouse()
    with mouse_on(puck, hold_s=10.0) as mouse:
        getattr(puck, report)(**{moves: FULL // 2})
        wait_until(lambda: mouse.read().is_active)
        expected = np.zeros(6)
        expected[axis] = 0.5 * sign
        np.testing.assert_allclose(mouse.read().twist, expected, atol=1e-9)


def test_an_operator_beside_the_robot_turns_the_frame():
    puck = FakeSpaceMouse()
    with mouse_on(puck, hold_s=10.0, forward_yaw_rad=0.0) as mouse:
        puck.push(back=-FULL)
        wait_until(lambda: mouse.read().is_active)
        np.testing.assert_allclose(mouse.read().twist, [1, 0, 0, 0, 0, 0], atol=1e-9)


def test_everything_that_has_arrived_is_read_at_once():
    puck = FakeSpaceMouse()
    with mouse_on(puck, hold_s=10.0) as mouse:
        for count in range(1, 51):
            puck.push(right=count * 5)
        wait_until(lambda: mouse.read().twist[1] == pytest.approx(250 / FULL))


def test_a_puck_that_falls_silent_is_released():
    puck = FakeSpaceMouse()
    with mouse_on(puck, hold_s=0.1) as mouse:
        puck.push(right=FULL)
        wait_until(lambda: mouse.read().is_active)
        wait_until(lambda: not mouse.read().is_active)


def test_a_resting_hand_is_neither_active_nor_stale():
    puck = FakeSpaceMouse()
    with mouse_on(puck) as mouse:
        puck.push(right=5)
        wait_until(puck.hid.reports.empty)
        stamp_s = mouse.read().stamp_s
        wait_until(lambda: mouse.read().stamp_s > stamp_s + 0.02)
        reading = mouse.read()
        assert not reading.is_active
        assert not reading.twist.any()


@pytest.mark.parametrize(("model", "count"), [("SpaceMouseCompact", 2), ("SpaceMouseEnterprise", 22)])
def test_every_button_counts(model, count):
    puck = FakeSpaceMouse(model)
    with mouse_on(puck) as mouse:
        assert len(mouse.read().buttons) >= min(count, 20)
        last = len(mouse.read().buttons) - 1
        puck.press(0, last)
        wait_until(lambda: mouse.read().is_active)
        assert [i for i, is_down in enumerate(mouse.read().buttons) if is_down] == [0, last]
        puck.press()
        wait_until(lambda: not mouse.read().is_active)


def test_an_unplugged_spacemouse_is_stale_and_comes_back():
    puck = FakeSpaceMouse()
    with mouse_on(puck) as mouse:
        puck.hid.is_gone = True
        error = wait_for_error(mouse.read, rk.StaleState)
        assert "no such device" in str(error) or "unplugged" in str(error)
        puck.hid.is_gone = False
        wait_until(lambda: is_fine(mouse.read, rk.StaleState))
        puck.push(right=FULL)
        wait_until(lambda: mouse.read().is_active)
        assert puck.opened >= 2


def test_a_spacemouse_that_is_not_there_says_what_to_check():
    with pytest.raises(rk.ConnectionFailed, match="libhidapi"):
        teleops.make("spacemouse", device="no-such-model").connect()


@pytest.mark.parametrize(
    ("code", "value", "twist"),
    [
        (ecodes.ABS_Y, -32768, [1, 0, 0, 0, 0, 0]), (ecodes.ABS_X, -32768, [0, 1, 0, 0, 0, 0]),
        (ecodes.ABS_RZ, 255, [0, 0, 1, 0, 0, 0]), (ecodes.ABS_Z, 255, [0, 0, -1, 0, 0, 0]),
        (ecodes.ABS_HAT0X, 1, [0, 0, 0, 1, 0, 0]), (ecodes.ABS_RY, -32768, [0, 0, 0, 0, 1, 0]),
        (ecodes.ABS_RX, -32768, [0, 0, 0, 0, 0, 1]), (ecodes.ABS_X, 1500, [0, 0, 0, 0, 0, 0]),
    ],
)  # fmt: skip
def test_sticks_steer(code, value, twist):
    pad = FakePad()
    with pad_on(pad, forward_yaw_rad=0.0) as hand:
        pad.happen(ecodes.EV_ABS, code, value)
        pad.happen(ecodes.EV_KEY, ecodes.BTN_EAST, 1)
        wait_until(lambda: any(hand.read().buttons))
        np.testing.assert_allclose(hand.read().twist, twist, atol=1e-4)


def test_gamepad_buttons_unplugging_and_coming_back():
    pad = FakePad()
    with pad_on(pad) as hand:
        pad.happen(ecodes.EV_KEY, ecodes.BTN_EAST, 1)
        wait_until(lambda: hand.read().buttons == (False, True, False, False))
        pad.is_gone = True
        error = wait_for_error(hand.read, rk.StaleState)
        assert "event7" in str(error) or "No such device" in str(error)
        pad.miss(ecodes.EV_KEY, ecodes.BTN_EAST, 0)
        pad.is_gone = False
        wait_until(lambda: is_fine(hand.read, rk.StaleState))
        assert not hand.read().is_active, "what was pressed before is not pressed now"


def test_a_gamepad_that_is_not_there_says_what_to_check():
    with pytest.raises(rk.ConnectionFailed, match="group input"):
        teleops.make("gamepad", device="/dev/input/no-such-event").connect()


@pytest.mark.parametrize(
    ("yaw_rad", "deflection", "twist"),
    [
        (0.0, [0.1, -0.2, 0.3, -0.4, 0.5, -0.6], [0.1, -0.2, 0.3, -0.4, 0.5, -0.6]),
        (np.pi, [0.1, -0.2, 0.3, -0.4, 0.5, -0.6], [-0.1, 0.2, 0.3, 0.4, -0.5, -0.6]),
        (np.pi / 2, [0.1, -0.2, 0.3, -0.4, 0.5, -0.6], [0.2, 0.1, 0.3, -0.5, -0.4, -0.6]),
        (0.0, [0.03, 0.029, -0.03, -0.029, 0.0, 0.0], [0.03, 0.0, -0.03, 0.0, 0.0, 0.0]),
        (0.0, [1.2, -1.2, 1.0, -1.0, 0.0, 0.0], [1.0, -1.0, 1.0, -1.0, 0.0, 0.0]),
    ],
)
def test_a_deflection_is_turned_to_where_the_operator_looks_without_its_deadband(yaw_rad, deflection, twist):
    found = reading(OperatorConfig(forward_yaw_rad=yaw_rad), 1.5, np.array(deflection), (False, False))
    np.testing.assert_allclose(found.twist, twist, atol=1e-12)
    assert (found.stamp_s, found.buttons, found.is_active) == (1.5, (False, False), True)


@pytest.mark.parametrize(("buttons", "is_active"), [((False, True), True), ((False, False), False), ((), False)])
def test_a_hand_that_only_presses_is_active(buttons, is_active):
    found = reading(OperatorConfig(), 0.0, np.full(6, 0.01), buttons)
    assert found.is_active == is_active
    np.testing.assert_array_equal(found.twist, np.zeros(6))


def test_by_default_the_operator_faces_the_robot():
    """SERL's convention."""
    found = reading(OperatorConfig(), 0.0, np.array((0.5, 0.0, 0.0, 0.0, 0.0, 0.0)), ())
    np.testing.assert_array_equal(found.twist, (-0.5, 0.0, 0.0, 0.0, 0.0, 0.0))


@pytest.fixture
def terminal() -> Iterator[tuple[int, str]]:
    """The keyboard's end of a terminal, and the path of the other."""
    keys, shown = pty.openpty()
    yield keys, os.ttyname(shown)
    os.close(shown)
    os.close(keys)


@pytest.mark.parametrize("key", MOVES)
def test_keys_steer_and_let_go(terminal, key):
    """Forward and back, left and right, up and down, and about these axes."""
    keys, path = terminal
    axis, sign = MOVES.index(key) // 2, 1 - 2 * (MOVES.index(key) % 2)
    expected = np.zeros(6)
    expected[axis] = 0.5 * sign
    with teleops.make("keyboard", terminal=path, hold_s=0.05, forward_yaw_rad=0.0, deflection=0.5) as hand:
        os.write(keys, key.encode())
        wait_until(lambda: hand.read().is_active)
        wait_until(lambda: not hand.read().is_active)

        def steers_while_it_repeats() -> bool:
            os.write(keys, key.upper().encode())
            return np.array_equal(hand.read().twist, expected)

        wait_until(steers_while_it_repeats)


def test_space_and_enter_are_buttons_and_the_terminal_is_given_back(terminal):
    keys, path = terminal
    before = termios.tcgetattr(keys)
    with teleops.make("keyboard", terminal=path) as hand:
        assert termios.tcgetattr(keys) != before
        os.write(keys, b" \n?")
        wait_until(lambda: hand.read().buttons == (True, True))
    assert termios.tcgetattr(keys) == before


def test_the_keyboard_leaves_no_file_open(terminal):
    before = os.listdir("/proc/self/fd")
    with teleops.make("keyboard", terminal=terminal[1]):
        assert len(os.listdir("/proc/self/fd")) > len(before)
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_without_a_terminal_there_is_no_keyboard():
    with pytest.raises(rk.ConnectionFailed, match="no terminal"):
        teleops.make("keyboard", terminal="/dev/null").connect()


def test_a_terminal_that_closes_makes_the_keyboard_stale():
    keys, shown = pty.openpty()
    hand = teleops.make("keyboard", terminal=os.ttyname(shown))
    assert isinstance(hand, Keyboard)
    with hand:
        os.close(keys)
        os.close(shown)
        wait_for_error(hand.read, rk.StaleState)
