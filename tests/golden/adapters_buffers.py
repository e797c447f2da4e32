"""Adapters of the replay buffers."""

from __future__ import annotations

import re
from typing import Any

import gymnasium as gym
import numpy as np

from rl.data.memory_efficient_replay_buffer import MemoryEfficientReplayBuffer
from rl.data.replay_buffer import ReplayBuffer
from rl.utils.tree import leaves, nest
from tests.golden.serl import Fixture, adapter


def space_of(array: np.ndarray) -> gym.spaces.Box:
    """The unbounded space that the rows of an array come from."""
    low, high = (0, 255) if array.dtype == np.uint8 else (-np.inf, np.inf)
    return gym.spaces.Box(low, high, array.shape[1:], array.dtype.type)


def capacity_of(fixture: Fixture) -> int:
    """What the manifest's constructor says, `capacity 12, …`."""
    return int(re.search(r"\bcapacity (\d+)", fixture.entry["ctor"])[1])  # type: ignore[index]


def inserted(fixture: Fixture) -> dict[str, Any]:
    return nest({tuple(key.split("/")): array for key, array in fixture.below("in").items()})


@adapter("data.replay_buffer.ReplayBuffer")
def check_replay_buffer(fixture: Fixture) -> None:
    """The ring after every insert, what is in it at the end, and the very same draws."""
    batch, capacity = inserted(fixture), capacity_of(fixture)
    ((drawn, seed, count),) = re.findall(r"(out/sample_seed(\d+)_(\d+))", " ".join(fixture.arrays))
    buffer = ReplayBuffer(space_of(batch["observations"]), space_of(batch["actions"]), capacity, seed=int(seed))
    for step in range(len(batch["rewards"])):
        buffer.insert({name: array[step] for name, array in batch.items()})
        assert len(buffer) == fixture.arrays["out/len"][step]
        assert buffer.inserted % capacity == fixture.arrays["out/insert_index"][step]
    for name, stored in buffer.sample(capacity, indices=np.arange(capacity)).items():
        np.testing.assert_array_equal(stored, fixture.arrays[f"out/storage/{name}"])
    np.testing.assert_array_equal(buffer.sample(int(count))["rewards"], fixture.arrays[drawn])


@adapter("data.memory_efficient_replay_buffer.MemoryEfficientReplayBuffer")
def check_memory_efficient_replay_buffer(fixture: Fixture) -> None:
    """Every row where the original returned what was inserted; its others show frames of another episode (S10)."""
    batch, capacity = inserted(fixture), capacity_of(fixture)
    cameras = re.findall(r"'(\w+)'", fixture.entry["ctor"].partition("pixel_keys")[2])
    observations = gym.spaces.Dict({key: space_of(array) for key, array in batch["observations"].items()})
    buffer = MemoryEfficientReplayBuffer(
        observations, space_of(batch["actions"]), capacity, cameras, seed=0, frame_capacity=4 * len(batch["rewards"])
    )
    # The recording treats every end as a time limit.
    buffer.extend(batch | {"masks": np.ones(len(batch["rewards"]), np.float32)})
    assert len(buffer) == min(capacity, len(batch["rewards"]))
    packed = fixture.name.endswith("_packed")
    ours = dict(leaves(buffer.sample(capacity, indices=np.arange(capacity), pack_obs_and_next_obs=packed)))
    recorded = {tuple(key.split("/")): array for key, array in fixture.below("out", "sample_valid").items()}
    assert ours.keys() == recorded.keys()
    right = np.flatnonzero(fixture.arrays["out/sample_matches_inserted"])
    assert len(right)
    for row in right:
        (position,) = np.flatnonzero(ours["rewards",] == recorded["rewards",][row])
        for path, array in recorded.items():
            np.testing.assert_array_equal(ours[path][position], array[row], err_msg="/".join(path))
