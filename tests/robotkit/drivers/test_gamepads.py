"""Which gamepad is taken, and which of its axes and buttons steers what: drivers of the kernel differ in that."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from evdev import AbsInfo, InputEvent, ecodes

import robotkit as rk
from robotkit.clock import RealClock
from robotkit.drivers.teleop import gamepad
from robotkit.drivers.teleop.gamepad_layout import layout_of
from robotkit.registry import teleops
from tests.robotkit.drivers.test_teleop import pad_on, patience  # noqa: F401  (a fixture for every test)
from tests.support.fake_hid import CROSS, STICK, TRIGGER, XBOX, FakePad
from tests.support.waiting import wait_until

EAST = (ecodes.EV_KEY, ecodes.BTN_EAST, 1)


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


@pytest.mark.parametrize("name", PADS)
def test_p15_a_trigger_that_is_pressed_half_way_steers_half_as_fast(name):
    axes, _, triggers = PADS[name]
    for code, sign in zip(triggers, (1, -1), strict=True):
        pad = FakePad(axes)
        with pad_on(pad, forward_yaw_rad=0.0) as hand:
            pad.happen(ecodes.EV_ABS, code, (axes[code].min + axes[code].max) // 2)
            pad.happen(*EAST)
            wait_until(lambda hand=hand: any(hand.read().buttons))
            np.testing.assert_allclose(hand.read().twist, [0, 0, 0.5 * sign, 0, 0, 0], atol=0.1)


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


def test_p15_an_axis_that_tells_no_range_rests():
    pad = FakePad(XBOX | {ecodes.ABS_X: AbsInfo(0, 0, 0, 0, 0, 0), ecodes.ABS_Z: AbsInfo(7, 7, 7, 0, 0, 0)})
    with pad_on(pad) as hand:
        assert not hand.read().is_active


@pytest.mark.parametrize(
    ("low", "high", "value", "is_stick"),
    [
        (-1, 1, 1, True), (-32768, 32767, -32768, True), (0, 255, 128, True), (0, 255, 152, True), (0, 255, 103, True),
        (0, 255, 154, False), (0, 255, 101, False), (0, 255, 0, False), (-255, 0, 0, False), (0, 0, 0, False),
        (100, 200, 150, True), (100, 200, 161, False),
    ],
)  # fmt: skip
def test_p15_which_pair_is_the_stick_is_told_by_where_it_rests(low, high, value, is_stick):
    """Z and RZ are it when they rest in the middle, and RX and RY at an end."""
    asked = AbsInfo(value, low, high, 0, 0, 0)
    layout = layout_of(LEFT | dict.fromkeys((RX, RY), TRIGGER) | {Z: BYTE_STICK, RZ: asked}, ())
    assert layout.triggers == frozenset((RX, RY) if is_stick else (Z, RZ))
    pitch, yaw = layout.steering[4:]
    assert (pitch, yaw) == tuple((((ecodes.EV_ABS, axis), -1),) for axis in ((RZ, Z) if is_stick else (RY, RX)))


def test_p15_what_a_gamepad_does_not_have_steers_nothing():
    layout = layout_of(LEFT, (ecodes.BTN_TL2, ecodes.BTN_DPAD_LEFT))
    assert layout.steering[2:] == ((), (), (), ())
    assert layout.triggers == frozenset()


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


def test_p10_keyboards_and_wheels_are_no_gamepads_and_are_let_go(monkeypatch):
    keys = (ecodes.BTN_GAMEPAD, ecodes.BTN_EAST)
    keyboard_like, stickless, broken, pad = (
        FakePad(keys=(ecodes.KEY_A,)),
        FakePad({}, keys),
        FakePad(),
        FakePad(keys=keys),
    )

    def fail(absinfo: bool = True) -> dict:
        raise OSError(19, "No such device")

    broken.capabilities = fail
    others = [keyboard_like, stickless, broken]
    opened_by(monkeypatch, {f"/dev/input/event{number}": device for number, device in enumerate([*others, pad])})
    with teleops.make("gamepad") as hand:
        assert not hand.read().is_active
        assert [device.closed for device in (*others, pad)] == [1, 1, 1, 0]
    opened_by(monkeypatch, {"/dev/input/event0": keyboard_like})
    with pytest.raises(rk.ConnectionFailed, match="no gamepad was found"):
        teleops.make("gamepad").connect()


def test_a_device_without_a_stick_is_no_gamepad():
    with pytest.raises(rk.ConnectionFailed, match="no stick"):
        pad_on(FakePad({})).connect()


@pytest.mark.parametrize(
    ("events", "is_read_anew"),
    [
        ([(ecodes.EV_SYN, ecodes.SYN_REPORT, 0)], False),
        ([(ecodes.EV_ABS, ecodes.SYN_DROPPED, 0)], False),  # ABS_RX has the same number
        ([(ecodes.EV_SYN, ecodes.SYN_DROPPED, 0), (ecodes.EV_ABS, ecodes.SYN_REPORT, 0)], False),  # so has ABS_X
        ([(ecodes.EV_SYN, ecodes.SYN_DROPPED, 0), (ecodes.EV_SYN, ecodes.SYN_REPORT, 0)], True),
    ],
)
def test_p2_only_a_report_after_lost_events_has_the_device_read_anew(events, is_read_anew):
    pad = FakePad()
    source = gamepad._Pad(gamepad.GamepadConfig(), RealClock(), pad.open)
    source.open()
    asked = pad.asked
    for kind, code, value in events:
        source._take(InputEvent(0, 0, kind, code, value))
    assert (pad.asked > asked) == is_read_anew
