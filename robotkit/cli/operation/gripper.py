"""`robotkit gripper`."""

from __future__ import annotations

import math

from robotkit.cli.cell_argument import open_cell
from robotkit.cli.operation.connection import arm_of_server, connected
from robotkit.cli.operation.question import console_for_sentences
from robotkit.devices import BaseGripperServer
from robotkit.errors import InvalidCommand, InvalidConfiguration, MotionFailed
from robotkit.schema import GripperState
from robotkit.workcell import Workcell

_WORDS = {"open": 1.0, "close": 0.0}
_POLL_PERIOD_S = 0.02


def move_fingers(cell_name: str, token: str | None, to: str, activates: bool, timeout_s: float) -> int:
    """Move the fingers of a cell's gripper and wait until they stand."""
    position = _position(to)
    if not 0.0 < timeout_s < math.inf:
        raise InvalidConfiguration(f"--timeout-s {timeout_s:g}: the time for the fingers must be positive")
    console = console_for_sentences()
    cell = open_cell(cell_name, token)
    gripper = cell.gripper
    if gripper is None:
        raise InvalidConfiguration(f"cell {cell.name!r} has no gripper")
    try:
        gripper.require_position(position)
    except InvalidCommand as error:
        raise InvalidConfiguration(error.message) from error
    gripper.activates_on_connect = False
    with connected(cell, arm_of_server(cell), gripper):
        if activates:
            gripper.activate()
            _standing(cell, gripper, timeout_s)
        before = gripper.get_state()
        gripper.move(position)
        after = _standing(cell, gripper, timeout_s)
        console.print(f"The fingers went from {_text(before)} to {_text(after)}.")
        if after.is_grasping:
            console.print("They hold something.")
        return 0


def _position(text: str) -> float:
    try:
        position = _WORDS[text] if text in _WORDS else float(text)
    except ValueError:
        position = math.nan
    if not 0.0 <= position <= 1.0:
        raise InvalidConfiguration(f"{text!r} is no position of a gripper: give open, close, or 0 (closed) to 1 (open)")
    return position


def _standing(cell: Workcell, gripper: BaseGripperServer, timeout_s: float) -> GripperState:
    """Let time pass until the fingers stand; in lock-step it only passes when asked.

    Raises:
        MotionFailed: they still move.
    """
    for _ in range(math.ceil(timeout_s / _POLL_PERIOD_S)):
        cell.clock.advance(_POLL_PERIOD_S)
        state = gripper.get_state()
        if not state.is_moving:
            return state
    raise MotionFailed(f"the fingers still move after {timeout_s:g} s, at {_text(gripper.get_state())}")


def _text(state: GripperState) -> str:
    return f"{state.position:.2f} ({state.width_m * 1e3:.1f} mm)"
