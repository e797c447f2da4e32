"""Imports a LeRobotDataset, of version 3.0 or 2.1, into a demonstration file, see `rl.interop.lerobot`.

Datasets of other programs do not tell why an episode ended, nor the observation after its last action. So an episode
whose last step is a success (`next.success`, else a positive last reward) counts as terminated, and the missing
observation has no effect. Any other one counts as cut: its last step is left out, and the one before it ends the
episode with mask 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from rl.data.demos import DemoSummary
from rl.data.spaces import space_of
from rl.errors import DataError
from rl.interop import lerobot
from rl.interop.demo_import import ImportedEpisode, Spaces, write_demos
from rl.interop.lerobot_dataset import Dataset, Place
from rl.utils.tree import Batch, map_leaves
from rl.wrappers.pixel_observation import STATE

_NO_NUMBERS = ("string", "image", "video")


def import_lerobot(root: Path, out: Path, spaces: Spaces | None, final_reward: float | None = None) -> DemoSummary:
    """Write a demonstration file from a dataset.

    Args:
        root: the dataset's directory, the one that holds `meta`.
        out: the file to write; must not exist.
        spaces: of the environment that it is for; those of an export of ours, or read off the data, when not given.
        final_reward: what the last step of every episode pays, for datasets without rewards; all others pay 0.

    Raises:
        DataError: it is no dataset of a known version, is damaged, has no rewards, or does not fit.
        MissingExtra: pyarrow or av is not installed.
    """
    dataset = Dataset(root)
    if spaces is None and dataset.has(lerobot.SPACES):
        stored = dataset.json(lerobot.SPACES)
        spaces = Spaces(space_of(stored["observation_space"]), space_of(stored["action_space"]))
    if spaces is not None and spaces.rate_hz is not None and abs(spaces.rate_hz - dataset.info.fps) > 0.01:
        raise DataError(
            f"{root} was recorded at {dataset.info.fps:g} actions per second, and the environment takes "
            f"{spaces.rate_hz:g}: the same actions would mean other motions. Take an environment of that rate, "
            "convert the dataset to the rate of this one, or give --steps-hz where the environment's render_fps is not "
            "the rate of its steps"
        )
    return write_demos(out, _episodes(dataset, spaces, final_reward), spaces)


def _episodes(dataset: Dataset, spaces: Spaces | None, final_reward: float | None) -> Iterator[ImportedEpisode]:
    names = _observations(dataset, spaces)
    closings = {name: dataset.closing(name) for name in names.values()}
    for number, place in enumerate(dataset.places()):
        try:
            dataset.require_whole(place)
            rewards = _rewards(dataset, place, final_reward)
            success = _success(dataset, place, rewards)
            columns = {key: dataset.column(place, name) for key, name in names.items()}
            actions, extras = dataset.column(place, lerobot.ACTION), _extras(dataset, place)
        except (KeyError, TypeError, ValueError, IndexError, OSError) as error:
            raise DataError(f"episode {number} of the dataset is damaged: {error!r}") from error
        terminated = _terminated(dataset, place, success)
        last = {key: found[number] for key, name in names.items() if (found := closings[name]) is not None}
        length = len(rewards)
        if not last and terminated:
            last = {key: array[-1] for key, array in columns.items()}
        elif not last:
            length, last = length - 1, {key: array[-1] for key, array in columns.items()}
            columns = {key: array[:-1] for key, array in columns.items()}
        if not length:
            continue
        frames = {key: np.concatenate([array, [last[key]]]) for key, array in columns.items()}
        observations = _as_observations(frames, spaces)
        steps = {"actions": actions, "rewards": rewards} | extras
        transitions = _transitions(observations, steps, length, terminated)
        yield ImportedEpisode(transitions, success, dataset.info.fps)


def _observations(dataset: Dataset, spaces: Spaces | None) -> dict[str, str]:
    """The columns that are needed, by our names."""
    found = {key: name for name in dataset.features if (key := lerobot.key_of(name)) is not None}
    if not found:
        raise DataError(f"the dataset has no observation.… among its columns {', '.join(dataset.features)}")
    if spaces is None:
        return found
    if isinstance(spaces.observation, gym.spaces.Dict):
        wanted = set(spaces.observation.spaces)
    else:
        wanted = {STATE if STATE in found else next(iter(found))}
    if missing := sorted(wanted - found.keys()):
        raise DataError(f"the environment needs {', '.join(missing)}; the dataset has {', '.join(found)}")
    return {key: name for key, name in found.items() if key in wanted}


def _as_observations(frames: dict[str, np.ndarray], spaces: Spaces | None) -> Any:
    if spaces is None:
        return frames
    space = spaces.observation
    if isinstance(space, gym.spaces.Dict):
        return {key: lerobot.stack_as(array, tuple(space[key].shape or ())) for key, array in frames.items()}
    (array,) = frames.values()
    return lerobot.stack_as(array, tuple(space.shape or ()))


def _transitions(observations: Any, steps: Batch, length: int, terminated: bool) -> list[dict[str, Any]]:
    def at(step: int) -> Any:
        return map_leaves(lambda array: array[step], {"": observations})[""]

    transitions = [
        {"observations": at(step), "next_observations": at(step + 1), "masks": 1.0, "dones": 0.0}
        | {name: array[step] for name, array in steps.items()}
        for step in range(length)
    ]
    transitions[-1] |= {"masks": 1.0 - terminated, "dones": 1.0}
    return transitions


def _rewards(dataset: Dataset, place: Place, final_reward: float | None) -> np.ndarray:
    if final_reward is not None:
        length = dataset.rows(place).num_rows
        return np.where(np.arange(length) == length - 1, final_reward, 0.0)
    if lerobot.REWARD not in dataset.features:
        raise DataError(
            f"the dataset has no {lerobot.REWARD}: if every episode ends in success, say what its last step pays with "
            "--final-reward"
        )
    return dataset.column(place, lerobot.REWARD).reshape(-1)


def _success(dataset: Dataset, place: Place, rewards: np.ndarray) -> bool:
    if lerobot.SUCCESS in dataset.features:
        return bool(np.any(dataset.column(place, lerobot.SUCCESS)[-1]))
    return bool(rewards[-1] > 0)


def _terminated(dataset: Dataset, place: Place, success: bool) -> bool:
    if lerobot.TERMINATED in dataset.features:
        return bool(np.any(dataset.column(place, lerobot.TERMINATED)[-1]))
    return success


def _extras(dataset: Dataset, place: Place) -> Batch:
    numbers = [name for name, feature in dataset.features.items() if feature.dtype not in _NO_NUMBERS]
    names = [name for name in numbers if name.startswith(lerobot.EXTRA)]
    found = {lerobot.extra_of(name): dataset.column(place, name) for name in names}
    return {name: array.reshape(-1) for name, array in found.items() if array.size == len(array)}
