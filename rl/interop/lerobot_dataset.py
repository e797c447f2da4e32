"""The files of a LeRobotDataset of version 3.0 or 2.1, read with every check that the format allows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from rl.errors import DataError
from rl.interop import lerobot
from rl.interop.lerobot_info import parse_info
from rl.interop.lerobot_video import decode_video, from_image


@dataclass(frozen=True)
class Place:
    """The place of an episode in the files."""

    episode: int
    length: int | None
    """Rows that it has; None where nothing says so."""
    data: Path
    videos: dict[str, tuple[Path, float]]
    """File and time of the first frame in seconds, by column."""


class Dataset:
    """The files of a dataset.

    Args:
        root: its directory.
    """

    def __init__(self, root: Path) -> None:
        self._pq = lerobot.load_package("pyarrow.parquet")
        self._root = root
        self.info = parse_info(self.json(lerobot.INFO), str(root))
        self.features = self.info.features
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

    def places(self) -> list[Place]:
        """All episodes, in order.

        Raises:
            DataError: they are not those that the dataset says it has.
        """
        videos = [name for name, feature in self.features.items() if feature.dtype == "video"]
        find = self._places_of_files if self.info.codebase_version == "v2.1" else self._places_in_tables
        try:
            places = list(find(videos))
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise DataError(
                f"{self._root} is damaged: its table of episodes cannot be understood: {error!r}"
            ) from error
        found, wanted = [place.episode for place in places], self.info.total_episodes
        if found != list(range(wanted)):
            raise DataError(
                f"{self._root} is damaged: {lerobot.INFO} tells of {wanted} episodes, 0 to {wanted - 1}; its table has "
                f"{len(found)}: {_few(found)}"
            )
        frames = [place.length for place in places if place.length is not None]
        if len(frames) == wanted and sum(frames) != self.info.total_frames:
            raise DataError(
                f"{self._root} is damaged: {lerobot.INFO} tells of {self.info.total_frames} frames, its episodes have "
                f"{sum(frames)}"
            )
        return places

    def _places_in_tables(self, videos: list[str]) -> Iterator[Place]:
        """Yield the places of version 3.0, which has tables of episodes."""
        for path in sorted(self._root.glob("meta/episodes/*/*.parquet")):
            for row in self._read(path).to_pylist():
                data = self._path(self.info.data_path, row, "data/")
                files = {
                    name: (
                        self._path(self.info.video_path or "", row, f"videos/{name}/", name),
                        row[f"videos/{name}/from_timestamp"],
                    )
                    for name in videos
                }
                yield Place(row["episode_index"], row["length"], data, files)

    def _path(self, pattern: str, row: Mapping[str, Any], prefix: str, video_key: str = "") -> Path:
        numbers = {name: row[prefix + name] for name in ("chunk_index", "file_index")}
        return self._inside(pattern.format(video_key=video_key, **numbers))

    def _inside(self, place: str) -> Path:
        """A file of the dataset; it may not name any other."""
        path = self._root / place
        if not path.resolve().is_relative_to(self._root.resolve()):
            raise DataError(f"the dataset names {place}, which lies outside of it")
        return path

    def _places_of_files(self, videos: list[str]) -> Iterator[Place]:
        """Yield the places of version 2.1, which has a file for each episode and camera."""
        lengths = self._lengths()
        for episode in range(self.info.total_episodes):
            numbers = {"episode_chunk": episode // self.info.chunks_size, "episode_index": episode}
            pattern = self.info.video_path or ""
            files = {name: (self._inside(pattern.format(video_key=name, **numbers)), 0.0) for name in videos}
            data = self._inside(self.info.data_path.format(**numbers))
            yield Place(episode, lengths.get(episode), data, files)

    def _lengths(self) -> dict[int, int]:
        """Rows of each episode in version 2.1, as far as its list tells."""
        if not self.has(lerobot.OLD_EPISODES):
            return {}
        lines = (self._root / lerobot.OLD_EPISODES).read_text().splitlines()
        rows = [json.loads(line) for line in lines if line.strip()]
        return {int(row["episode_index"]): int(row["length"]) for row in rows}

    def column(self, place: Place, name: str) -> np.ndarray:
        """A column of an episode, (n, …)."""
        feature, rows = self.features[name], self.rows(place)
        if feature.dtype == "video":
            path, start_s = place.videos[name]
            times_s = start_s + np.asarray(rows["timestamp"].to_numpy(), np.float64)
            return decode_video(path, times_s, 0.5 / self.info.fps)
        if feature.dtype == "image":
            return self._images(rows[name].to_pylist(), name)
        return np.array(rows[name].to_pylist(), feature.dtype)

    def closing(self, name: str) -> list[np.ndarray] | None:
        """An observation after the last action of each episode, which only exports of ours have."""
        if not self.has(lerobot.CLOSING):
            return None
        values = self._read(self._root / lerobot.CLOSING)[name]
        if self.features[name].dtype in ("image", "video"):
            return list(self._images(values.to_pylist(), name))
        return list(np.array(values.to_pylist(), self.features[name].dtype))

    def rows(self, place: Place) -> Any:
        """The table of one episode."""
        table = self._open(place.data)
        return table.filter(np.asarray(table["episode_index"].to_numpy()) == place.episode)

    def require_whole(self, place: Place) -> None:
        """Raise `DataError` unless an episode has all its rows, each once and in order, and ends at the last one."""
        rows = self.rows(place)
        count = rows.num_rows
        if not count or place.length not in (None, count):
            wanted = "at least one" if place.length is None else place.length
            raise DataError(f"episode {place.episode} of the dataset is damaged: it has {count} rows and not {wanted}")
        steps = np.asarray(rows["frame_index"].to_numpy())
        if not np.array_equal(steps, np.arange(count)):
            first = int(np.flatnonzero(steps != np.arange(count))[0])
            raise DataError(
                f"episode {place.episode} of the dataset is damaged: its frames must be 0 to {count - 1} in this "
                f"order, and row {first} is frame {steps[first]}"
            )
        if lerobot.DONE in self.features:
            done: np.ndarray = np.array(rows[lerobot.DONE].to_pylist(), bool).reshape(count, -1).max(axis=1)
            if done[:-1].any():
                raise DataError(
                    f"episode {place.episode} of the dataset is damaged: {lerobot.DONE} is set at frame "
                    f"{int(np.flatnonzero(done)[0])}, and the episode goes on to frame {count - 1}"
                )

    def _images(self, cells: list[dict[str, Any]], name: str) -> np.ndarray:
        contents = [cell["bytes"] or self._inside(cell["path"]).read_bytes() for cell in cells]
        return np.stack([from_image(content, name) for content in contents])

    def _read(self, path: Path) -> Any:
        try:
            return self._pq.read_table(path)
        except (OSError, ValueError) as error:  # pyarrow's errors are both
            raise DataError(f"{path} cannot be read: {error}") from error


def _few(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers[:8])) + (" …" if len(numbers) > 8 else "")
