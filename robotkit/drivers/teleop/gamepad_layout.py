"""`layout_of`: the assignment of a gamepad's sticks, triggers and buttons, found from those that it has."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from evdev import AbsInfo, ecodes

Control = tuple[int, int]
"""Event type and code: (EV_ABS, ABS_X), or (EV_KEY, BTN_TR2)."""
Pair = tuple[int, int]

_LEFT: Pair = (ecodes.ABS_X, ecodes.ABS_Y)
_R: Pair = (ecodes.ABS_RX, ecodes.ABS_RY)
_Z: Pair = (ecodes.ABS_Z, ecodes.ABS_RZ)
_PEDALS: Pair = (ecodes.ABS_BRAKE, ecodes.ABS_GAS)
_HAT2: Pair = (ecodes.ABS_HAT2Y, ecodes.ABS_HAT2X)
_TRIGGER_BUTTONS: Pair = (ecodes.BTN_TL2, ecodes.BTN_TR2)
_CROSS_BUTTONS: Pair = (ecodes.BTN_DPAD_LEFT, ecodes.BTN_DPAD_RIGHT)


@dataclass(frozen=True)
class Layout:
    """The inputs that steer along and about the operator's forward, left and up."""

    steering: tuple[tuple[tuple[Control, int], ...], ...]
    """Six tuples of controls with their signs; one that the gamepad does not have is empty."""
    triggers: frozenset[int]
    """Axes that rest at one end of their range."""


def layout_of(axes: Mapping[int, AbsInfo], buttons: Collection[int]) -> Layout:
    """Find sticks and triggers; drivers of the kernel put them on different axes.

    - The right stick is RX and RY with the triggers on Z and RZ (xpad, hid-playstation, the kernel's gamepad API), or
      the other way round (Sony's pads without their driver), told by which pair rests in the middle of its range.
    - Z and RZ are the right stick of pads whose triggers are BRAKE and GAS (Xbox pads over Bluetooth).
    - Triggers may also be HAT2Y and HAT2X, or the buttons TL2 and TR2; the cross HAT0X, or buttons.

    Args:
        axes: range and present value of each axis.
        buttons: the buttons that there are.
    """
    stick = _right_stick(axes)
    trigger_axes = next((pair for pair in (_PEDALS, _Z, _R, _HAT2) if _has(axes, pair) and pair != stick), None)
    if trigger_axes is not None:
        triggers = _opposed(ecodes.EV_ABS, trigger_axes)
    elif _has(buttons, _TRIGGER_BUTTONS):
        triggers = _opposed(ecodes.EV_KEY, _TRIGGER_BUTTONS)
    else:
        triggers = ()
    if ecodes.ABS_HAT0X in axes:
        cross: tuple[tuple[Control, int], ...] = (((ecodes.EV_ABS, ecodes.ABS_HAT0X), 1),)
    else:
        cross = _opposed(ecodes.EV_KEY, _CROSS_BUTTONS) if _has(buttons, _CROSS_BUTTONS) else ()
    yaw, pitch = ((), ()) if stick is None else (_reversed(stick[0]), _reversed(stick[1]))
    steering = (_reversed(_LEFT[1]), _reversed(_LEFT[0]), triggers, cross, pitch, yaw)
    return Layout(steering, frozenset(trigger_axes or ()))


def _right_stick(axes: Mapping[int, AbsInfo]) -> Pair | None:
    """The axes of the right stick, sideways first."""
    pairs = [pair for pair in (_R, _Z) if _has(axes, pair)]
    if len(pairs) == 2 and not _rests_in_the_middle(axes, _R) and _rests_in_the_middle(axes, _Z):
        return _Z
    return pairs[0] if pairs else None


def _rests_in_the_middle(axes: Mapping[int, AbsInfo], pair: Pair) -> bool:
    """True for axes with a sign, and for those that stand near their middle now."""

    def is_centred(low: int, value: int, high: int) -> bool:
        return low < 0 < high or abs(value - 0.5 * (low + high)) < 0.1 * (high - low)

    return all(is_centred(info.min, info.value, info.max) for info in (axes[code] for code in pair))


def _has(codes: Collection[int], pair: Pair) -> bool:
    return all(code in codes for code in pair)


def _opposed(kind: int, pair: Pair) -> tuple[tuple[Control, int], ...]:
    """The second one steers forwards, the first one backwards."""
    return ((kind, pair[1]), 1), ((kind, pair[0]), -1)


def _reversed(axis: int) -> tuple[tuple[Control, int], ...]:
    """A stick's axes grow to the right and towards the hand."""
    return (((ecodes.EV_ABS, axis), -1),)
