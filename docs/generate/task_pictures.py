"""Draws a picture of each simulated task: `python docs/generate/task_pictures.py` writes `docs/images/tasks/`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import imageio.v3 as imageio
import numpy as np
import tyro

from envs.registration import DUAL_TABLE, TABLE
from envs.tasks.reach import POSITION_SCALE_M

SIDE_PX = 512


@dataclass(frozen=True)
class Shot:
    """The moment of an episode that a picture shows."""

    env_id: str
    steps: int
    """Actions of the task's expert before the picture."""
    seed: int = 1
    """Of the reset."""
    cameras: tuple[str, str] = ("front", "overview")
    """The two views."""


SHOTS: Mapping[str, Shot] = {
    "pick_cube": Shot("PandaPickCube-v0", 40),
    "reach": Shot("PandaReach-v0", 20),
    "peg_insertion": Shot("PandaPegInsertion-v0", 10),
    "pcb_insertion": Shot("PandaPCBInsertion-v0", 9),
    "cable_routing": Shot("PandaCableRouting-v0", 6),
    "bin_relocation": Shot("PandaBinRelocation-v0", 48),
    "ram_insertion": Shot("PandaRAMInsertion-v0", 7),
    "usb_pickup_insertion": Shot("PandaUSBPickupInsertion-v0", 30),
    "two_arms": Shot("DualFrankaPegInsertRelative-Vision-v0", 8),
    "object_handover": Shot("DualPandaHandover-v0", 95, cameras=("side", "overview")),
    "egg_flip": Shot("PandaEggFlip-v0", 14),
}
"""By the name of the picture."""


@dataclass(frozen=True)
class Options:
    """Draw pictures of the simulated tasks."""

    names: tuple[str, ...] = tuple(SHOTS)
    """Which."""
    out: Path = Path(__file__).parents[1] / "images" / "tasks"
    """Folder to write them to."""


def take(shot: Shot) -> np.ndarray:
    """Let the expert act, and take the picture: two views beside each other, uint8 (height, width, 3)."""
    sizes = {f"cameras.{name}.{side}_px": SIDE_PX for name in shot.cameras for side in ("width", "height")}
    overrides = {**sizes, "world.render": "pretty"}
    human = "expert" if shot.env_id in DUAL_TABLE else None
    env_id = f"envs:{shot.env_id}"
    with gymnasium.make(env_id, cell_overrides=overrides, render_mode="rgb_array", human=human) as env:
        observation, _ = env.reset(seed=shot.seed)
        act = _policy(env, shot.env_id, observation)
        for _ in range(shot.steps):
            observation, *_ = env.step(act(observation))
        return _views(env)


def _policy(env: gymnasium.Env[Any, Any], name: str, first: Any) -> Callable[[Any], np.ndarray]:
    """What acts in the task: its expert; one that `env` has as its human acts whatever is returned here."""
    if name in DUAL_TABLE:
        return lambda _: np.zeros(env.action_space.shape or (), np.float32)
    make_expert = TABLE[name].expert
    if make_expert is None:
        return _towards_goal
    expert = make_expert(env)
    expert.reset(first)
    return expert.act


def _towards_goal(observation: Mapping[str, Any]) -> np.ndarray:
    """`Reach` has no expert: it is solved by going where the observation says."""
    return np.clip(observation["state"]["to_goal"] / POSITION_SCALE_M, -1.0, 1.0).astype(np.float32)


def _views(env: gymnasium.Env[Any, Any]) -> np.ndarray:
    """Both arms from the camera `overview`, or one arm from `overview` and `front`."""
    overview = np.asarray(env.render())
    if overview.shape[1] > SIDE_PX:
        return overview
    return np.concatenate((overview, env.unwrapped.workcell.cameras["front"].read().rgb), axis=1)


def main() -> None:
    """Entry point."""
    options = tyro.cli(Options)
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.names:
        imageio.imwrite(options.out / f"{name}.webp", take(SHOTS[name]), quality=85, method=6)


if __name__ == "__main__":
    main()
