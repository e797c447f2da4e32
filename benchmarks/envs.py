"""Environments: steps per second, what the layers above the physics cost, and observations with images."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import gymnasium
import numpy as np

from envs import make_vec
from envs.core import ManipulationEnv
from robotkit import InvalidConfiguration

STATE, VISION = "PandaPickCube-v0", "PandaPickCubeVision-v0"
EPISODE = 100
SUBSTEPS = 10
Row = dict[str, Any]


def run(quick: bool) -> list[Row]:
    """Measure everything; `quick` takes fewer repeats."""
    repeats = 10 if quick else 60
    return [
        *single(repeats),
        *[vector(16, threads, repeats) for threads in (1, 2)],
        vision(20 if quick else 200),
    ]


def single(repeats: int) -> list[Row]:
    """One environment and the bare loop by turns, episode by episode, over the very same motion."""
    checked = gymnasium.make(STATE)
    unchecked = gymnasium.make(STATE, disable_env_checker=True)
    actions = np.random.default_rng(0).uniform(-1, 1, (EPISODE, 4)).astype(np.float32)
    replay = bare_loop(unchecked.unwrapped, actions)
    loops = {"checked": episode(checked, actions), "unchecked": episode(unchecked, actions), "bare": replay}
    for loop in loops.values():
        loop()
    seconds: dict[str, list[float]] = {name: [] for name in loops}
    for _ in range(repeats):
        for name, loop in loops.items():
            seconds[name].append(loop())
    checked.close()
    unchecked.close()
    ratio = median(bare / full for bare, full in zip(seconds["bare"], seconds["unchecked"], strict=True))
    rate = {name: EPISODE / median(times) for name, times in seconds.items()}
    cpu = "per second of CPU time, median episode"
    return [
        row("one env, gymnasium.make", rate["checked"], "steps/s", cpu + "; with Gymnasium's checker"),
        row("one env, no checker", rate["unchecked"], "steps/s", cpu),
        row("bare loop: target, 10 x (law, mj_step)", rate["bare"], "steps/s", cpu + "; same motion"),
        row("one env / bare loop", ratio, "ratio", "median of pairs that alternate; 1 would mean that layers are free"),
    ]


def episode(env: gymnasium.Env[Any, Any], actions: np.ndarray) -> Callable[[], float]:
    """A function that plays `actions` from the same reset and returns the CPU seconds of the steps."""

    def play() -> float:
        env.reset(seed=0)
        start = time.thread_time()
        for action in actions:
            env.step(action)
        return time.thread_time() - start

    return play


def bare_loop(env: gymnasium.Env[Any, Any], actions: np.ndarray) -> Callable[[], float]:
    """A function that repeats the physics of an episode with nothing around it and returns its CPU seconds."""
    if not isinstance(env, ManipulationEnv):
        raise InvalidConfiguration(f"the bare loop is that of a ManipulationEnv, not of {env}")
    cell = env.workcell
    world: Any = cell.world
    env.reset(seed=0)
    targets = []
    for action in actions:
        command, gripper = env.action_map(action)
        targets.append((command.tcp_pose_in_base, gripper.position))  # type: ignore[union-attr]
        env.step(action)
    arm, move = world.arm, cell.gripper.move  # type: ignore[union-attr]

    def play() -> float:
        env.reset(seed=0)
        start = time.thread_time()
        for pose, opening in targets:
            arm.follow_pose(pose)
            move(opening)
            arm.advance(SUBSTEPS)
        return time.thread_time() - start

    return play


def vector(count: int, threads: int, repeats: int) -> Row:
    """Many environments; the best window counts, because a window that another process disturbed says nothing."""
    envs = make_vec(STATE, count, threads)
    envs.reset(seed=0)
    actions = np.random.default_rng(0).uniform(-1, 1, (20, count, 4)).astype(np.float32)
    walls, cpus = [], []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        for action in actions:
            envs.step(action)
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    envs.close()
    steps = len(actions) * count
    note = (f"wall clock, best of {repeats} windows; median {steps / median(walls):,.0f}; "
            f"{steps / median(cpus):,.0f} per second of CPU time")  # fmt: skip
    return row(f"{count} envs on {threads} thread{'s' * (threads > 1)}", steps / min(walls), "steps/s", note)


def vision(steps: int) -> Row:
    """Observations with two images of 128 x 128."""
    env = gymnasium.make(VISION, disable_env_checker=True)
    actions = np.random.default_rng(0).uniform(-1, 1, (steps, 4)).astype(np.float32)
    env.reset(seed=0)
    seconds = []
    for index, action in enumerate(actions):
        start = time.perf_counter()
        *_, truncated, _ = env.step(action)
        seconds.append(time.perf_counter() - start)
        if truncated:
            env.reset(seed=index)
    env.close()
    return row(
        "vision: step with two 128x128 images", 1.0 / median(seconds), "observations/s", "wall clock, median step"
    )


def row(name: str, value: float, unit: str, note: str) -> Row:
    """One line of the table."""
    return {"name": name, "value": float(value), "unit": unit, "note": note}
