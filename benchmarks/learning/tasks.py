"""The tasks of the learning benchmark: an environment each, and the demonstrations that come with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_PICK_CUBE = "envs:PandaPickCube-v0"
_PICK_CUBE_EXPERT = "envs.experts.tracker:pick_cube"


@dataclass(frozen=True)
class Task:
    """An environment, and what an agent may know of it before it acts."""

    env: str
    """Gymnasium id, as `robotkit-train train --env` takes it."""
    demonstrations: int = 0
    """Episodes of the expert; 0 for none."""
    expert: str | None = None
    """Script that records them, as `robotkit-train record demos --expert` takes it."""
    demonstrations_seed: int = 0
    """Seed of the recording: all runs of a task learn from the same episodes."""


TASKS: Mapping[str, Task] = {
    "pick-cube-state": Task(_PICK_CUBE, 20, _PICK_CUBE_EXPERT),
    "pick-cube-state-alone": Task(_PICK_CUBE),
    "pick-cube-pixels": Task("envs:PandaPickCubeVision-v0", 20, _PICK_CUBE_EXPERT),
    "peg-insertion-state": Task("envs:PandaPegInsertion-v0", 20, "envs.experts.insertion:peg_insertion"),
    "pick-cube-state-1": Task(_PICK_CUBE, 1, _PICK_CUBE_EXPERT),
}
"""Tasks by their names."""
