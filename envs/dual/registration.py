"""Builds an environment of two arms from the arguments of `gymnasium.make`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium

from envs.dual.env import DualArmEnv
from envs.interventions import Human
from envs.registration import DUAL_TABLE, Entry, build
from robotkit import BaseWorld, InvalidConfiguration, Workcell

Cell = str | Path | Workcell | None
Pair = tuple[Any, Any]


def make_dual_env(
    entry: str,
    cell: Cell | tuple[Cell, Cell] = None,
    cell_overrides: Mapping[str, Any] | None = None,
    token: str | None = None,
    render_mode: str | None = None,
    human: Human | tuple[Human, Human] = None,
) -> gymnasium.Env[Any, Any]:
    """Build the environment of one row of `DUAL_TABLE`, without the time limit that `gymnasium.make` adds.

    Args:
        entry: a key of `DUAL_TABLE`.
        cell: the arms' cells, left and right: a pair of what `make_env` takes, or both in one string with a comma
            between. A single name or file is built once for each arm, which only a simulated cell can be; None takes
            that of each arm's own row.
        cell_overrides: for both cells, see `make_env`.
        token: for both robot servers, where the cells are URLs.
        render_mode: None or "rgb_array".
        human: who may take over. "expert" and "scripted" have one hand on each arm; devices are a pair, or both in one
            string: "spacemouse,gamepad". "none" leaves an arm to the policy.

    Raises:
        InvalidConfiguration: what is meant for two arms can serve only one, or see `make_env`.
        UnknownPlugin: no cell and no device of that name.
    """
    row = DUAL_TABLE[entry]
    cells, hands = _pair("cell", cell), _hands(human)
    is_shared = cell is not None and cells[0] == cells[1]
    if is_shared and (isinstance(cells[0], Workcell) or str(cells[0]).startswith(("http://", "https://"))):
        raise InvalidConfiguration("two arms need a workcell each, and this is one: give a pair, left then right")

    def arm(index: int, entry: Entry, world: BaseWorld | None = None) -> gymnasium.Env[Any, Any]:
        single = replace(entry, view=row.arm_view)
        return build(single, cells[index], cell_overrides, token, render_mode, hands[index], world)

    left = arm(0, row.left)
    workcell: Workcell = left.unwrapped.workcell  # type: ignore[attr-defined]
    if is_shared and not workcell.can_place_objects:
        raise InvalidConfiguration(
            f"the cell {str(cells[0])!r} has real devices, which cannot be built once for each arm: give a cell for "
            "each, left then right"
        )
    return row.view(DualArmEnv(left, arm(1, row.right, workcell.world if row.shares_world else None)))


def _pair(name: str, value: Any) -> Pair:
    """The left arm's and the right one's, where one value stands for both."""
    parts = tuple(value.split(",")) if isinstance(value, str) and "," in value else value
    if not isinstance(parts, tuple):
        return parts, parts
    if len(parts) != 2:
        raise InvalidConfiguration(f"{name} of two arms is one, or left and right: got {len(parts)}, {value!r}")
    return parts


def _hands(human: Any) -> Pair:
    left, right = _pair("human", human)
    if left == right and left not in (None, "none", "expert", "scripted"):
        raise InvalidConfiguration(
            "one device cannot steer two arms: name one for each, left then right, such as 'spacemouse,gamepad', or "
            "'spacemouse,none', which leaves the right arm to the policy; give two of a kind as built devices"
        )
    return (None if left == "none" else left), (None if right == "none" else right)
