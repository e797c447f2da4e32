"""Demonstrations whose every number tells where it came from, and LeRobotDatasets made of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pyarrow.parquet as pq

from rl.data.demos import DemoWriter
from rl.data.journal import TransitionJournal
from rl.interop import lerobot
from rl.interop.demo_import import Spaces

BOX = gym.spaces.Box
ACTIONS = BOX(-1, 1, (2,), np.float32)
FLAT = Spaces(BOX(-5, 5, (3,), np.float32), ACTIONS)
SIZE = 16


def cameras(frames: tuple[int, ...] = ()) -> Spaces:
    state, image = BOX(-np.inf, np.inf, (*frames, 3), np.float32), BOX(0, 255, (*frames, SIZE, SIZE, 3), np.uint8)
    return Spaces(gym.spaces.Dict(state=state, front=image, wrist=image), ACTIONS)


def frame(space: gym.Space, episode: int, step: int, name: str = "") -> Any:
    """What is seen at a step; every number tells where it came from."""
    if isinstance(space, gym.spaces.Dict):
        return {key: frame(inner, episode, step, key) for key, inner in space.spaces.items()}
    shape = space.shape[-3:] if space.dtype == np.uint8 else space.shape[-1:]
    rng = np.random.default_rng([episode, step, *name.encode()])
    if space.dtype == np.uint8:  # smooth, so that a video can hold it
        return np.broadcast_to(rng.integers(0, 256, (1, 1, 3)), shape).astype(np.uint8)
    return rng.uniform(-1, 1, shape).astype(np.float32)


def seen(space: gym.Space, episode: int, step: int) -> Any:
    """The observation at a step: the frame, or the newest ones stacked."""

    def stacked(inner: gym.Space, at: Any) -> np.ndarray:
        newest = at(step)
        if inner.shape == newest.shape:
            return newest
        count = inner.shape[0]
        return np.stack([at(max(0, step - back)) for back in range(count - 1, -1, -1)])

    if isinstance(space, gym.spaces.Dict):
        return {k: stacked(v, lambda s, v=v, k=k: frame(v, episode, s, k)) for k, v in space.spaces.items()}
    return stacked(space, lambda s: frame(space, episode, s))


def episode_of(space: gym.Space, episode: int, length: int, *, terminated: bool, **extras: float) -> list[dict]:
    return [
        {
            "observations": seen(space, episode, step),
            "actions": np.full(2, (step + 1) / 100, np.float32),
            "next_observations": seen(space, episode, step + 1),
            "rewards": np.float32(step + episode / 10),
            "masks": np.float32(not (terminated and step == length - 1)),
            "dones": np.float32(step == length - 1),
            **{name: np.float32(value * step) for name, value in extras.items()},
        }
        for step in range(length)
    ]


ENDS = ((4, True, True), (3, False, False), (1, True, False), (2, False, True))
"""Length, terminated, success: all four kinds of ends."""


def demos(path: Path, spaces: Spaces, **extras: float) -> Path:
    with DemoWriter(path, spaces.observation, spaces.action) as writer:
        for number, (length, terminated, success) in enumerate(ENDS):
            steps = episode_of(spaces.observation, number, length, terminated=terminated, **extras)
            writer.write_episode(steps, success=success)
    return path


def content(path: Path) -> list[tuple[dict, bool]]:
    with TransitionJournal(path, read_only=True) as journal:
        return [(block.transitions, block.info["success"]) for block in journal.blocks()]


def version_2_1(root: Path) -> Path:
    """The same dataset as the older version lays it out: a file for each episode and camera."""
    info = json.loads((root / lerobot.INFO).read_text())
    patterns = {
        "data_path": "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
        "video_path": "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4",
    }
    (root / lerobot.INFO).write_text(json.dumps(info | patterns | {"codebase_version": "v2.1"}))
    (data,) = root.glob("data/*/*.parquet")
    table = pq.read_table(data)
    data.unlink()
    for episode in range(info["total_episodes"]):
        numbers = {"episode_chunk": 0, "episode_index": episode}
        rows = np.array(table["episode_index"]) == episode
        pq.write_table(table.filter(rows), root / patterns["data_path"].format(**numbers))
        for video in root.glob(f"videos/*/chunk-000/file-{episode:03d}.mp4"):
            target = root / patterns["video_path"].format(video_key=video.parts[-3], **numbers)
            target.parent.mkdir(parents=True, exist_ok=True)
            video.rename(target)
    return root


def damage(root: Path, **info: Any) -> None:
    known = json.loads((root / lerobot.INFO).read_text())
    (root / lerobot.INFO).write_text(json.dumps(known | info))
