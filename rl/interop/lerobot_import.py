"""Imports a LeRobotDataset, of version 3.0 or 2.1, into a demonstration file, see `rl.interop.lerobot`.

Datasets of other programs do not tell why an episode ended, nor the observation after its last action. So an episode
whose last step is a success (`next.success`, else a positive last reward) counts as terminated, and the missing
observation has no effect. Any other one counts as cut: its last step is left out, and the one before it ends the
episode with mask 1.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from rl.data.demos import DemoSummary
from rl.data.spaces import space_of
from rl.errors import DataError
from rl.interop import lerobot
from rl.interop.demo_import import ImportedEpisode, Spaces, write_demos
from rl.interop.lerobot_video import decode_video, from_image
from rl.utils.tree import Batch, map_leaves
from rl.wrappers.pixel_observation import STATE

_READABLE = ("v3.0", "v2.1")
_NO_NUMBERS = ("string", "image", "video")


@dataclass(frozen=True)
class Place:
    """The place of an episode in the files."""

    episode: int
    data: Path
    videos: dict[str, tuple[Path, float]]
    """File and time of the first frame in seconds, by column."""


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
    return write_demos(out, _episodes(dataset, spaces, final_reward), spaces)


class Dataset:
    """The files of a dataset.

    Args:
        root: its directory.
    """

    def __init__(self, root: Path) -> None:
        self._pq = lerobot.load_package("pyarrow.parquet")
        self._root = root
        self.info = self.json(lerobot.INFO)
        version = self.info.get("codebase_version")
        if version not in _READABLE:
            raise DataError(f"{root} has version {version} of the format; readable are {' and '.join(_READABLE)}")
        self.features: dict[str, dict[str, Any]] = self.info["features"]
        self._open = lru_cache(maxsize=1)(self._read)

    def has(self, place: str) -> bool:
        """True if there is such a file."""
        return (self._root / place).is_file()

    def json(self, place: str) -> dict[str, Any]:
        """The content of a JSON file."""
        try:
            content = json.loads((self._root / place).read_text())
        except (OSError, ValueError) as error:
            raise DataError(f"{self._root} is no LeRobotDataset: {place} cannot be read: {error}") from error
        if not isinstance(content, dict):
            raise DataError(f"{self._root} is no LeRobotDataset: {place} holds no object")
        return content

    def places(self) -> Iterator[Place]:
        """All episodes, in order."""
        videos = [name for name, feature in self.features.items() if feature["dtype"] == "video"]
        if self.info["codebase_version"] == "v2.1":
            yield from self._places_of_files(videos)
            return
        for path in sorted(self._root.glob("meta/episodes/*/*.parquet")):
            for row in self._read(path).to_pylist():
                data = self._path("data_path", row, "data/")
                files = {
                    name: (self._path("video_path", row, f"videos/{name}/", name), row[f"videos/{name}/from_timestamp"])
                    for name in videos
                }
                yield Place(row["episode_index"], data, files)

    def _path(self, pattern: str, row: Mapping[str, Any], prefix: str, video_key: str = "") -> Path:
        numbers = {name: row[prefix + name] for name in ("chunk_index", "file_index")}
        return self._inside(self.info[pattern].format(video_key=video_key, **numbers))

    def _inside(self, place: str) -> Path:
        """A file of the dataset; it may not name any other."""
        path = self._root / place
        if not path.resolve().is_relative_to(self._root.resolve()):
            raise DataError(f"the dataset names {place}, which lies outside of it")
        return path

    def _places_of_files(self, videos: list[str]) -> Iterator[Place]:
        """Yield the places of version 2.1, which has a file for each episode and camera."""
        for episode in range(self.info["total_episodes"]):
            numbers = {"episode_chunk": episode // self.info["chunks_size"], "episode_index": episode}
            files = {
                name: (self._inside(self.info["video_path"].format(video_key=name, **numbers)), 0.0) for name in videos
            }
            yield Place(episode, self._inside(self.info["data_path"].format(**numbers)), files)

    def column(self, place: Place, name: str) -> np.ndarray:
        """A column of an episode, (n, …)."""
        feature, rows = self.features[name], self.rows(place)
        if feature["dtype"] == "video":
            path, start_s = place.videos[name]
            times_s = start_s + np.asarray(rows["timestamp"].to_numpy(), np.float64)
            return decode_video(path, times_s, 0.5 / self.info["fps"])
        if feature["dtype"] == "image":
            return self._images(rows[name].to_pylist(), name)
        return np.array(rows[name].to_pylist(), feature["dtype"])

    def closing(self, name: str) -> list[np.ndarray] | None:
        """An observation after the last action of each episode, which only exports of ours have."""
        if not self.has(lerobot.CLOSING):
            return None
        values = self._read(self._root / lerobot.CLOSING)[name]
        if self.features[name]["dtype"] in ("image", "video"):
            return list(self._images(values.to_pylist(), name))
        return list(np.array(values.to_pylist(), self.features[name]["dtype"]))

    def rows(self, place: Place) -> Any:
        """The table of one episode."""
        table = self._open(place.data)
        return table.filter(np.asarray(table["episode_index"].to_numpy()) == place.episode)

    def _images(self, cells: list[dict[str, Any]], name: str) -> np.ndarray:
        contents = [cell["bytes"] or self._inside(cell["path"]).read_bytes() for cell in cells]
        return np.stack([from_image(content, name) for content in contents])

    def _read(self, path: Path) -> Any:
        try:
            return self._pq.read_table(path)
        except (OSError, ValueError) as error:  # pyarrow's errors are both
            raise DataError(f"{path} cannot be read: {error}") from error


def _episodes(dataset: Dataset, spaces: Spaces | None, final_reward: float | None) -> Iterator[ImportedEpisode]:
    names = _observations(dataset, spaces)
    closings = {name: dataset.closing(name) for name in names.values()}
    for number, place in enumerate(dataset.places()):
        try:
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
        yield ImportedEpisode(_transitions(observations, steps, length, terminated), success)


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
    numbers = [name for name, feature in dataset.features.items() if feature["dtype"] not in _NO_NUMBERS]
    names = [name for name in numbers if name.startswith(lerobot.EXTRA)]
    found = {lerobot.extra_of(name): dataset.column(place, name) for name in names}
    return {name: array.reshape(-1) for name, array in found.items() if array.size == len(array)}
