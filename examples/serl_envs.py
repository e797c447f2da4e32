"""SERL's real-robot environments for its agents: a closed gripper, tool axes, Euler angles, a reward classifier.

Importing this registers them as `serl/<SERL's id>`, in the MuJoCo cell of the task unless another cell is named:
`gymnasium.make("examples.serl_envs:serl/FrankaPegInsert-Vision-v0", cell="http://control-pc:5000")`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gymnasium

from envs import wrappers
from envs.interventions import Human
from envs.registration import TABLE, Entry, build
from envs.tasks.bin_relocation import BACKWARD, FORWARD
from envs.tasks.franka import FrankaTask
from rl.wrappers.adapter_config import ONE_FRAME
from rl.wrappers.classifier_reward import load_for_reward
from robotkit import InvalidConfiguration

NAMESPACE = "serl"
PEG, PCB, CABLE = "FrankaPegInsert-Vision-v0", "FrankaPCBInsert-Vision-v0", "FrankaCableRoute-Vision-v0"
BIN = "FrankaBinRelocation-Vision-v0"
BIN_FORWARD, BIN_BACKWARD = "FrankaBinRelocationForward-Vision-v0", "FrankaBinRelocationBackward-Vision-v0"

Env = gymnasium.Env[Any, Any]


@dataclass(frozen=True)
class SerlTask:
    """The surroundings of one of SERL's tasks."""

    entry: str
    """Row of `envs.registration.TABLE`."""
    holds_part: bool = True
    """The gripper stays closed, and actions are six numbers."""
    classifier_camera: str | None = None
    """Camera that only a classifier sees."""
    success_tracker: str | None = None
    """Without this tracker and without classifiers nothing tells success."""
    changes: Mapping[str, Any] | None = None
    """Fields of the task's configuration that differ."""


TASKS: Mapping[str, SerlTask] = {
    PEG: SerlTask(PEG),
    PCB: SerlTask(PCB),
    CABLE: SerlTask(CABLE, success_tracker="cable"),
    BIN: SerlTask(BIN, False, "front", "object"),
    BIN_FORWARD: SerlTask(BIN, False, "front", "object", {"is_reset_free": False, "task_id": FORWARD}),
    BIN_BACKWARD: SerlTask(BIN, False, "front", "object", {"is_reset_free": False, "task_id": BACKWARD}),
}
"""Ids of SERL's tasks; those of bin relocation with a direction in their name always start in the same bin, which is
how demonstrations of one direction are recorded."""


def env_id(name: str) -> str:
    """The id that `robotkit-train` takes for an environment of SERL's: of this module, or ours of the same name."""
    if name in TASKS:
        return f"{__name__}:{NAMESPACE}/{name}"
    return f"envs:{name}" if name in TABLE else name


def set_reward_classifiers(name: str, classifiers: Mapping[int, Path]) -> None:
    """Let reward classifiers decide about success in environments of this id that this process makes from now on.

    Args:
        name: a key of `TASKS`.
        classifiers: directories that `classifier` wrote, by task; a task without directions is 0.
    """
    gymnasium.spec(f"{NAMESPACE}/{name}").kwargs["classifiers"] = dict(classifiers)


def make_serl_env(
    name: str,
    classifiers: Mapping[int, Path],
    cell: str | None = None,
    human: Human = None,
    render_mode: str | None = None,
    token: str | None = None,
) -> Env:
    """Build one of them; `cell`, `human`, `render_mode` and `token` are those of `envs.make_env`.

    Raises:
        InvalidConfiguration: nothing would tell success, or see `envs.make_env`.
    """
    task = TASKS[name]
    env = build(_row(task, has_classifier=bool(classifiers)), cell, None, token, render_mode, human)
    if not classifiers:
        _require_tracker(name, task, env)
        return env
    loaded = {number: load_for_reward(path, ONE_FRAME) for number, path in classifiers.items()}
    threshold = max(classifier.facts.threshold for classifier in loaded.values())
    if task.classifier_camera is None:
        return wrappers.BinaryRewardClassifier(env, loaded[0], threshold, positive_frames=ONE_FRAME.positive_frames)
    look = env.get_wrapper_attr("front_observation")
    rewarded = wrappers.TaskGraphRewardClassifier(
        env,
        loaded,
        threshold=threshold,
        option="task_id",
        look=lambda _: look(),
        positive_frames=ONE_FRAME.positive_frames,
    )
    config = env.unwrapped.task.config  # type: ignore[attr-defined]
    return wrappers.GripperPenalty(rewarded, config.gripper_penalty, config.gripper_penalty_goes_to)


def _row(task: SerlTask, *, has_classifier: bool) -> Entry:
    row = TABLE[task.entry]

    def make_task() -> FrankaTask:
        made = row.task()
        assert isinstance(made, FrankaTask)
        # What the tool's pose says must not end an episode whose success a classifier predicts.
        ends: dict[str, Any] = {"terminates_on_success": False} if has_classifier else {}
        return type(made)(replace(made.config, **(task.changes or {}), **ends))

    def view(env: Env) -> Env:
        seen = wrappers.relative_view(env)
        return seen if task.classifier_camera is None else wrappers.FrontCamera(seen, task.classifier_camera)

    def inner(env: Env) -> Env:
        # With a classifier the penalty belongs outside of it, or the classifier would take it back.
        priced = env if has_classifier and task.classifier_camera else row.wrap(env)
        return wrappers.GripperClose(priced) if task.holds_part else priced

    return replace(row, task=make_task, wrap=inner, view=view)


def _require_tracker(name: str, task: SerlTask, env: Env) -> None:
    cell = env.unwrapped.workcell  # type: ignore[attr-defined]
    if task.success_tracker is not None and task.success_tracker not in cell.trackers:
        env.close()
        raise InvalidConfiguration(
            f"{name} in cell {cell.name!r}: nothing would tell success. Give its reward classifier (one for each "
            f"way), or a tracker named {task.success_tracker!r}; the cell has: {', '.join(cell.trackers) or 'none'}"
        )


for _name, _task in TASKS.items():
    gymnasium.register(
        f"{NAMESPACE}/{_name}",
        entry_point=f"{__name__}:make_serl_env",
        max_episode_steps=TABLE[_task.entry].max_episode_steps,
        kwargs={"name": _name, "classifiers": {}},
    )
