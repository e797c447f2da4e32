"""Demonstrations as episodes of observations and actions, and a split of episodes for training and evaluation."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from rl.common.typing import Batch
from rl.data.demos import load_demos, summarize_demos
from rl.errors import DataError
from rl.utils.tree import leaves, nest


class _Collector:
    """Takes demonstrations, episode by episode, for the sake of their observations and actions."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.episodes: list[Batch] = []

    def __len__(self) -> int:
        return sum(len(episode["actions"]) for episode in self.episodes)

    def extend(self, batch: Mapping[str, Any]) -> None:
        """Keep one episode."""
        self.episodes.append({name: batch[name] for name in ("observations", "actions")})


def read_demos(files: tuple[Path, ...], observation_space: gym.Space[Any], action_space: gym.Space[Any]) -> list[Batch]:
    """The episodes of all files: observations and actions.

    Raises:
        DataError: they were recorded with other observations or actions.
    """
    collector = _Collector(sum(summarize_demos(file).transitions for file in files))
    for file in files:
        load_demos(file, collector, observation_space, action_space)
    return collector.episodes


def split_episodes(episodes: list[Batch], share: float, generator: np.random.Generator) -> tuple[Batch, Batch | None]:
    """Join episodes into a part to train on and one to evaluate on, None when `share` is 0.

    Raises:
        DataError: there are too few episodes.
    """
    held = round(share * len(episodes)) or (1 if share else 0)
    if held >= len(episodes):
        raise DataError(f"{len(episodes)} demonstrations are too few to hold a share of {share} out: use --held-out 0")
    shuffled = [episodes[index] for index in generator.permutation(len(episodes))]
    return joined(shuffled[held:]), joined(shuffled[:held]) if held else None


def digest_of(batch: Batch) -> str:
    """The SHA-256 of a batch, hexadecimal: of the names, shapes and values of its fields."""
    digest = hashlib.sha256()
    for path, field in leaves(batch):
        digest.update(f"{path} {field.dtype} {field.shape}\n".encode())
        digest.update(np.ascontiguousarray(field).data)
    return digest.hexdigest()


def joined(batches: list[Batch]) -> Batch:
    """Batches one after the other."""
    flats = [dict(leaves(batch)) for batch in batches]
    return nest({path: np.concatenate([flat[path] for flat in flats]) for path in flats[0]})
