"""Hand-held devices that lose events, name their axes otherwise, or are let go while nobody looks."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import termios
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest
from evdev import ecodes

import robotkit as rk
from robotkit.drivers.teleop import keyboard, spacemouse
from robotkit.drivers.teleop.gamepad import GamepadConfig, _Pad
from robotkit.drivers.teleop.spacemouse import SpaceMouseConfig, _Puck
from robotkit.registry import teleops
from tests.robotkit.drivers.test_teleop import FULL, mouse_on, mouse_options, pad_on, patience  # noqa: F401  (a fixture for every test)
from tests.support.fake_hid import FakePad, FakeSpaceMouse
from tests.support.waiting import is_fine, wait_for_error, wait_until

DROPPED, REPORT = (ecodes.EV_SYN, ecodes.SYN_DROPPED, 0), (ecodes.EV_SYN, ecodes.SYN_REPORT, 0)
UP, EAST = (ecodes.EV_ABS, ecodes.ABS_Y, -32768), (ecodes.EV_KEY, ecodes.BTN_EAST, 1)


def test_p2_after_lost_events_the_state_is_the_devices_own():
    """The stick went back and the button was let go in the gap."""
    pad = FakePad()
    with pad_on(pad) as hand:
        pad.happen(*UP)
        pad.happen(*EAST)
        wait_until(lambda: hand.read().twist.any() and any(hand.read().buttons))
        pad.miss(ecodes.EV_ABS, ecodes.ABS_Y, 0)
        pad.miss(ecodes.EV_KEY, ecodes.BTN_EAST, 0)
        pad.send(DROPPED, REPORT)
        wait_until(lambda: not hand.read().is_active)


def test_p2_what_was_pressed_in_the_gap_is_pressed():
    pad = FakePad()
    with pad_on(pad, forward_yaw_rad=0.0) as hand:
        pad.miss(*UP)
        pad.miss(*EAST)
        pad.send(DROPPED, REPORT)
        wait_until(lambda: hand.read().is_active)
        np.testing.assert_allclose(hand.read().twist, [1, 0, 0, 0, 0, 0], atol=1e-4)
        assert hand.read().buttons == (False, True, False, False)


def test_p2_a_packet_with_a_hole_does_not_count_and_the_next_one_does():
    pad = FakePad()
    with pad_on(pad, forward_yaw_rad=0.0) as hand:
        pad.send(DROPPED, UP, EAST)
        pad.happen(ecodes.EV_KEY, ecodes.BTN_SOUTH, 1)
        wait_until(lambda: hand.read().buttons == (True, False, False, False))
        assert not hand.read().twist.any()
        asked = pad.asked
        pad.happen(*UP)
        wait_until(lambda: hand.read().twist[0] == pytest.approx(1.0))
        assert pad.asked == asked, "the gap is over: events tell the state again"


def test_p2_a_gap_without_an_end_is_seen_too():
    pad = FakePad()
    with pad_on(pad) as hand:
        pad.miss(*EAST)
        pad.send(DROPPED)
        wait_until(lambda: hand.read().is_active)


def test_p2_a_gap_lasts_until_its_report_however_often_the_state_is_asked_for_before():
    pad = FakePad()
    source = _Pad(GamepadConfig(forward_yaw_rad=0.0), rk.RealClock(), pad.open)
    source.open()
    pad.send(DROPPED)
    assert not source.poll().is_active
    pad.send(UP)
    assert not source.poll().twist.any(), "the device's own state says something else"
    pad.send(UP, REPORT)
    assert not source.poll().twist.any()
    pad.happen(*UP)
    assert source.poll().twist[0] == pytest.approx(1.0)


def test_p2_what_is_held_at_the_opening_is_held():
    pad = FakePad()
    opened = pad.open
    pad.miss(*UP)

    def open_and_press() -> FakePad:
        """The button goes down after the device was opened, before anybody reads."""
        opened()
        pad.miss(*EAST)
        return pad

    pad.open = open_and_press
    with pad_on(pad, forward_yaw_rad=0.0) as hand:
        assert hand.read().twist[0] == pytest.approx(1.0)
        assert hand.read().buttons == (False, True, False, False)


def test_p2_a_gamepad_that_is_unplugged_with_its_stick_away_steers_nothing():
    pad = FakePad()
    with pad_on(pad) as hand:
        pad.happen(*UP)
        wait_until(lambda: hand.read().is_active)
        pad.is_gone = True
        wait_for_error(hand.read, rk.StaleState)
        pad.miss(ecodes.EV_ABS, ecodes.ABS_Y, 0)
        pad.is_gone = False
        wait_until(lambda: is_fine(hand.read, rk.StaleState))
        assert not hand.read().is_active


def test_p2_what_is_no_axis_or_button_of_the_pad_changes_nothing():
    pad = FakePad()
    with pad_on(pad, forward_yaw_rad=0.0) as hand:
        pad.send(
            (ecodes.EV_ABS, ecodes.ABS_MISC, 200),
            (ecodes.EV_KEY, ecodes.BTN_THUMBL, 1),
            (ecodes.EV_REL, ecodes.REL_X, 9),
        )
        pad.happen(*EAST)
        wait_until(lambda: any(hand.read().buttons))
        assert hand.read().buttons == (False, True, False, False)
        assert not hand.read().twist.any()
        pad.send((ecodes.EV_KEY, ecodes.BTN_EAST, 2))
        pad.happen(*UP)
        wait_until(lambda: hand.read().twist.any())
        assert hand.read().buttons == (False, True, False, False), "a key that repeats is down"
        assert pad.asked == 1, "nothing was lost"


@pytest.mark.parametrize(("reports", "opened"), [(63, 1), (64, 2)])
def test_p2_a_queue_that_was_full_may_have_dropped_reports(reports, opened):
    """The kernel keeps 64."""
    puck = FakeSpaceMouse()
    source = _Puck(mouse_options(hold_s=60.0), rk.RealClock(), puck.open)
    source.open()
    for _ in range(reports):
        puck.push(right=FULL)
    is_active = source.poll().is_active
    assert (puck.opened, is_active) == (opened, opened == 1)


def test_p2_a_spacemouse_whose_reports_were_dropped_counts_as_released_until_it_reports():
    """The button was let go in a report that found the queue full."""
    puck = FakeSpaceMouse()
    with mouse_on(puck, hold_s=60.0) as mouse:
        puck.press(0)
        wait_until(lambda: mouse.read().buttons[0])
        held = puck.hid.read
        puck.hid.read = lambda size: b""
        for _ in range(100):
            puck.push(right=FULL)
        puck.press()
        puck.hid.read = held
        wait_until(lambda: not mouse.read().is_active)
        puck.push(right=FULL)
        wait_until(lambda: mouse.read().twist[1] == pytest.approx(1.0))


def test_p2_a_spacemouse_that_is_out_of_reach_is_let_go(monkeypatch):
    """The receiver stays, and says nothing of puck and button. It is no new press when another report comes."""
    now = SimpleNamespace(monotonic=lambda: now.s, s=0.0)
    monkeypatch.setattr(spacemouse, "time", now)
    puck = FakeSpaceMouse()
    source = _Puck(SpaceMouseConfig(), rk.RealClock(), puck.open)
    source.open()
    puck.push(right=FULL)
    puck.press(0)
    held = []
    for now.s in (100.0, 100.29, 100.31, 129.9, 130.1):
        reading = source.poll()
        held.append((bool(reading.twist.any()), reading.buttons[0]))
    assert held == [(True, True), (True, True), (False, True), (False, True), (False, False)]
    puck.push(right=FULL)
    assert source.poll().buttons == (False, False), "still the same press"
    puck.press(0, 1)
    assert source.poll().buttons == (False, True), "another button counts"
    puck.press()
    assert source.poll().buttons == (False, False)
    puck.press(0)
    assert source.poll().buttons == (True, False)


def test_a_spacemouse_that_comes_back_has_forgotten_its_deflection():
    puck = FakeSpaceMouse()
    with mouse_on(puck, hold_s=60.0) as mouse:
        puck.push(right=FULL)
        puck.press(0)
        wait_until(lambda: mouse.read().twist.any() and mouse.read().buttons[0])
        puck.hid.is_gone = True
        wait_for_error(mouse.read, rk.StaleState)
        puck.hid.is_gone = False
        wait_until(lambda: is_fine(mouse.read, rk.StaleState))
        assert not mouse.read().is_active


def test_a_gamepad_is_let_go_when_it_is_disconnected_and_when_it_fails():
    pad = FakePad()
    with pad_on(pad) as hand:
        pad.is_gone = True
        wait_for_error(hand.read, rk.StaleState)
        wait_until(lambda: pad.closed == 1)
        pad.is_gone = False
        wait_until(lambda: is_fine(hand.read, rk.StaleState))
    assert (pad.opened, pad.closed) == (2, 2)


def test_a_spacemouse_is_let_go_when_it_is_disconnected():
    puck, closed = FakeSpaceMouse(), []
    puck.hid.close = lambda: closed.append(True)
    with mouse_on(puck):
        assert closed == []
    assert closed == [True]


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """The keyboard's end of a terminal, and the other one."""
    keys, shown = pty.openpty()
    yield keys, shown
    os.close(shown)
    os.close(keys)


def untaken(shown: int) -> int:
    """How many keys wait for a reader."""
    return struct.unpack("i", fcntl.ioctl(shown, termios.FIONREAD, b"\0" * 4))[0]


def test_keys_are_taken_when_they_are_typed_and_not_when_somebody_asks(terminal):
    keys, shown = terminal
    with teleops.make("keyboard", terminal=os.ttyname(shown), hold_s=0.5) as hand:
        os.write(keys, b"w ")
        wait_until(lambda: hand._poller.newest().is_active)
        wait_until(lambda: not hand._poller.newest().is_active)
        assert untaken(shown) == 0
        assert not hand.read().is_active


def test_m12_a_second_connection_to_the_keyboard_has_no_key_held(terminal):
    keys, shown = terminal
    hand = teleops.make("keyboard", terminal=os.ttyname(shown), hold_s=2.0)
    with hand:
        os.write(keys, b"w")
        wait_until(lambda: hand.read().is_active)
    with hand:
        assert not hand.read().is_active


@pytest.mark.parametrize("sequence", [b"\x1b[A", b"\x1b[D", b"\x1bOA", b"\x1bOD", b"\x1b[1;5D", b"\x1b[3~", b"\x1bw"])
def test_the_letters_of_arrow_and_function_keys_steer_nothing(terminal, sequence):
    keys, shown = terminal
    with teleops.make("keyboard", terminal=os.ttyname(shown), hold_s=2.0) as hand:
        os.write(keys, sequence + b" ")
        wait_until(lambda: hand.read().buttons == (True, False))
        assert not hand.read().twist.any()


def test_a_terminal_that_a_shell_had_in_between_gives_keys_again(terminal):
    keys, shown = terminal
    with teleops.make("keyboard", terminal=os.ttyname(shown), hold_s=2.0) as hand:
        settings = termios.tcgetattr(shown)
        settings[3] |= termios.ICANON | termios.ECHO
        termios.tcsetattr(shown, termios.TCSANOW, settings)
        wait_until(lambda: not termios.tcgetattr(shown)[3] & termios.ICANON)
        os.write(keys, b"w")
        wait_until(lambda: hand.read().is_active)


def test_in_the_background_keys_and_terminal_are_left_to_the_others(terminal, monkeypatch):
    keys, shown = terminal
    is_behind = False

    def foreground_group(descriptor: int) -> int:
        return os.getpgrp() + is_behind

    monkeypatch.setattr(keyboard.os, "tcgetpgrp", foreground_group)
    with teleops.make("keyboard", terminal=os.ttyname(shown), hold_s=0.02) as hand:
        taken = termios.tcgetattr(shown)
        is_behind = True
        stamp_s = hand.read().stamp_s
        wait_until(lambda: hand.read().stamp_s > stamp_s + 0.02)
        os.write(keys, b"w")
        stamp_s = hand.read().stamp_s
        wait_until(lambda: hand.read().stamp_s > stamp_s + 0.02)
        assert not hand.read().is_active
        assert untaken(shown) == 1
    assert termios.tcgetattr(shown) == taken, "changed from behind it would stop this process"
    with pytest.raises(rk.ConnectionFailed, match="foreground"):
        teleops.make("keyboard", terminal=os.ttyname(shown)).connect()


@pytest.mark.parametrize("name", ["gamepad", "spacemouse", "keyboard"])
@pytest.mark.parametrize("deadband", [-0.1, 1.0, float("nan")])
def test_p1_a_deadband_that_hides_the_hand_is_refused(name, deadband):
    with pytest.raises(rk.InvalidConfiguration, match="deadband"):
        teleops.validate(name, {"deadband": deadband})
