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
from evdev import AbsInfo, ecodes

import robotkit as rk
from robotkit.drivers.teleop import gamepad, keyboard
from robotkit.registry import teleops
from tests.drivers.test_teleop import FULL, mouse_on, pad_on, patience  # noqa: F401  (a fixture for every test)
from tests.support.fake_hid import CROSS, STICK, TRIGGER, XBOX, FakePad, FakeSpaceMouse
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


BYTE_STICK = AbsInfo(128, 0, 255, 0, 15, 0)
LEFT = {ecodes.ABS_X: BYTE_STICK, ecodes.ABS_Y: BYTE_STICK}
HAT = {ecodes.ABS_HAT0X: CROSS, ecodes.ABS_HAT0Y: CROSS}
X, Y, Z, RX, RY, RZ = (ecodes.ecodes[f"ABS_{name}"] for name in ("X", "Y", "Z", "RX", "RY", "RZ"))
GAS, BRAKE = ecodes.ABS_GAS, ecodes.ABS_BRAKE
PADS = {
    "xpad": (XBOX, (RX, RY), (RZ, Z)),
    "xpadneo, unsigned": (LEFT | HAT | dict.fromkeys((Z, RZ), BYTE_STICK) | dict.fromkeys((GAS, BRAKE), TRIGGER),
                          (Z, RZ), (GAS, BRAKE)),
    "xpadneo, signed": (LEFT | HAT | dict.fromkeys((Z, RZ), STICK) | dict.fromkeys((GAS, BRAKE), TRIGGER),
                        (Z, RZ), (GAS, BRAKE)),
    "pedals beside RX and RY": (LEFT | HAT | dict.fromkeys((RX, RY), STICK) | dict.fromkeys((GAS, BRAKE), TRIGGER),
                                (RX, RY), (GAS, BRAKE)),
    "Sony without its driver": (LEFT | HAT | dict.fromkeys((Z, RZ), BYTE_STICK) | dict.fromkeys((RX, RY), TRIGGER),
                                (Z, RZ), (RY, RX)),
    "hid-playstation": (LEFT | HAT | dict.fromkeys((RX, RY), BYTE_STICK) | dict.fromkeys((Z, RZ), TRIGGER),
                        (RX, RY), (RZ, Z)),
    "upper hats": (LEFT | HAT | dict.fromkeys((RX, RY), STICK)
                   | dict.fromkeys((ecodes.ABS_HAT2X, ecodes.ABS_HAT2Y), TRIGGER),
                   (RX, RY), (ecodes.ABS_HAT2X, ecodes.ABS_HAT2Y)),
}  # fmt: skip
"""Axes; the right stick, sideways and away; the right and the left trigger."""


@pytest.mark.parametrize("name", PADS)
def test_p15_every_stick_and_trigger_steers_its_axis_and_rests(name):
    axes, (sideways, away), (right, left) = PADS[name]
    for code, twist in [
        (Y, [1, 0, 0, 0, 0, 0]), (X, [0, 1, 0, 0, 0, 0]), (right, [0, 0, -1, 0, 0, 0]), (left, [0, 0, 1, 0, 0, 0]),
        (away, [0, 0, 0, 0, 1, 0]), (sideways, [0, 0, 0, 0, 0, 1]),
    ]:  # fmt: skip
        for end, sign in (("min", 1), ("max", -1)):
            pad = FakePad(axes)
            with pad_on(pad, forward_yaw_rad=0.0) as hand:
                assert not hand.read().is_active
                pad.happen(ecodes.EV_ABS, code, getattr(axes[code], end))
                pad.happen(*EAST)
                wait_until(lambda hand=hand: any(hand.read().buttons))
                is_resting = code in (right, left) and end == "min"
                expected = np.zeros(6) if is_resting else sign * np.array(twist)
                np.testing.assert_allclose(hand.read().twist, expected, atol=1e-2)


@pytest.mark.parametrize(
    ("key", "axis", "sign"),
    [(ecodes.BTN_TR2, 2, 1), (ecodes.BTN_TL2, 2, -1), (ecodes.BTN_DPAD_RIGHT, 3, 1), (ecodes.BTN_DPAD_LEFT, 3, -1)],
)
def test_p15_triggers_and_a_cross_that_are_buttons_steer(key, axis, sign):
    """As the kernel's hid-nintendo has them."""
    keys = (*FakePad.KEYS, ecodes.BTN_TL2, ecodes.BTN_TR2, ecodes.BTN_DPAD_LEFT, ecodes.BTN_DPAD_RIGHT)
    pad = FakePad(LEFT | dict.fromkeys((RX, RY), STICK), keys)
    with pad_on(pad, forward_yaw_rad=0.0) as hand:
        pad.happen(ecodes.EV_KEY, key, 1)
        wait_until(lambda: hand.read().is_active)
        np.testing.assert_allclose(hand.read().twist, sign * np.eye(6)[axis])


def opened_by(monkeypatch: pytest.MonkeyPatch, devices: dict[str, FakePad | OSError]) -> None:
    def open_device(path: str) -> FakePad:
        device = devices[path]
        if isinstance(device, OSError):
            raise device
        device.path = path
        return device.open()

    monkeypatch.setattr(gamepad, "evdev", SimpleNamespace(list_devices=lambda: list(devices), InputDevice=open_device))


def test_p10_one_of_several_gamepads_has_to_be_chosen(monkeypatch):
    pads = {f"/dev/input/event{number}": FakePad(keys=(ecodes.BTN_GAMEPAD, ecodes.BTN_EAST)) for number in (3, 4)}
    opened_by(monkeypatch, pads)
    with pytest.raises(rk.ConnectionFailed, match=r"event3 \(Fake pad\), /dev/input/event4.*`device`"):
        teleops.make("gamepad").connect()
    assert [pad.closed for pad in pads.values()] == [1, 1]
    with teleops.make("gamepad", device="/dev/input/event4") as hand:
        assert not hand.read().is_active


def test_p10_a_device_that_cannot_be_asked_does_not_hide_the_gamepad(monkeypatch):
    pad = FakePad(keys=(ecodes.BTN_GAMEPAD, ecodes.BTN_EAST))
    opened_by(monkeypatch, {"/dev/input/event3": OSError(19, "No such device"), "/dev/input/event4": pad})
    with teleops.make("gamepad") as hand:
        pad.happen(*EAST)
        wait_until(lambda: any(hand.read().buttons))


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


def test_a_device_without_a_stick_is_no_gamepad():
    with pytest.raises(rk.ConnectionFailed, match="no stick"):
        pad_on(FakePad({})).connect()


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
