"""The table of environment ids, and how one is built from what a user writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium

from envs.actions import ActionMap
from envs.core import ManipulationEnv
from envs.tasks.pick_cube import PickCube, pick_cube_actions
from envs.tasks.task import Task
from robotkit import InvalidConfiguration, Workcell, make_workcell

DEFAULT_CELL = "mujoco-pick-cube"


@dataclass(frozen=True)
class Entry:
    """One environment id."""

    task: Callable[[], Task]
    action_map: Callable[[], ActionMap]
    max_episode_steps: int


TABLE: Mapping[str, Entry] = {
    "PandaPickCube-v0": Entry(PickCube, pick_cube_actions, 100),
    "PandaPickCubeVision-v0": Entry(lambda: PickCube(("front", "wrist")), pick_cube_actions, 100),
}


def register_all() -> None:
    """Make every id of the table known to `gymnasium.make`; `import envs` does it."""
    for name, entry in TABLE.items():
        gymnasium.register(
            id=name,
            entry_point="envs.registration:make_env",
            max_episode_steps=entry.max_episode_steps,
            kwargs={"entry": name},
        )


def make_env(
    entry: str,
    cell: str | Path | Workcell = DEFAULT_CELL,
    cell_overrides: Mapping[str, Any] | None = None,
    token: str | None = None,
    render_mode: str | None = None,
) -> ManipulationEnv:
    """Build the environment of one table entry, without the time limit that `gymnasium.make` adds.

    Args:
        entry: a key of `TABLE`.
        cell: a registered workcell, the path of a .toml file, the URL of a robot server, or a built workcell. A
            built one is shared: the environment connects it when it must, and never disconnects it.
        cell_overrides: single values of the workcell's configuration, such as `{"cameras.front.width_px": 256}`.
        token: for the robot server, when `cell` is a URL.
        render_mode: None or "rgb_array".

    Raises:
        InvalidConfiguration: the arguments contradict each other, or the cell lacks something.
        UnknownPlugin: no cell of that name.
    """
    row = TABLE[entry]
    workcell = open_cell(cell, cell_overrides or {}, token)
    return ManipulationEnv(
        workcell, row.task(), row.action_map(), render_mode, owns_workcell=not isinstance(cell, Workcell)
    )


def open_cell(cell: str | Path | Workcell, overrides: Mapping[str, Any], token: str | None) -> Workcell:
    """The workcell that a user means by `cell`; see `make_env`."""
    is_url = isinstance(cell, str) and cell.startswith(("http://", "https://"))
    if token is not None and not is_url:
        raise InvalidConfiguration(f"a token belongs to the URL of a robot server, not to cell={cell!r}")
    if isinstance(cell, Workcell):
        if overrides:
            raise InvalidConfiguration("cell_overrides cannot change a built workcell; build it with them instead")
        return cell
    if is_url:
        return make_workcell("remote", url=cell, token=token, **overrides)
    return make_workcell(cell, **overrides)
