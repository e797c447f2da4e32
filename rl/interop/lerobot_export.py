"""Exports a demonstration file as a LeRobotDataset, see `rl.interop.lerobot`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rl.data.demos import RATE_HZ, episode_info
from rl.data.journal import TransitionJournal
from rl.data.spaces import space_of
from rl.errors import DataError
from rl.interop import lerobot
from rl.interop.demo_import import FIELDS
from rl.interop.lerobot import Column
from rl.interop.lerobot_stats import Statistics
from rl.interop.lerobot_video import encode_video, to_png, video_facts
from rl.interop.options import LeRobotOptions
from rl.utils.tree import Batch

_BYTES_IN_A_FILE = 100 << 20


def export_lerobot(demos: Path, out: Path, options: LeRobotOptions) -> int:
    """Write a demonstration file as a dataset; its directory appears when it is complete.

    Returns:
        The number of episodes.

    Raises:
        DataError: `demos` is no demonstration file, or holds what the format cannot; or `out` exists.
        MissingExtra: pyarrow or av is not installed.
    """
    if out.exists():
        raise DataError(f"{out} exists already; choose another --out")
    draft = out.with_name(f".{out.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        with TransitionJournal(demos, read_only=True) as journal:
            fps = _rate(journal, options.fps)
            spaces = {name: journal.metadata.get(name, {}) for name in ("observation_space", "action_space")}
            writer = _Writer(draft, lerobot.columns_of(space_of(spaces["observation_space"])), options, fps)
            for block in journal.blocks():
                writer.write(block.transitions, bool(episode_info(block)["success"]))
            writer.finish(spaces)
        draft.rename(out)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return writer.episodes


def _rate(journal: TransitionJournal, asked: int | None) -> int:
    """Actions per second of a recording, or what was asked for where it does not tell.

    Raises:
        DataError: it does not tell and nothing was asked for, it tells something else, or no whole number.
    """
    told = {episode_info(block).get("origin", {}).get(RATE_HZ) for block in journal.blocks()} - {None}
    if len(told) > 1:
        raise DataError(
            f"{journal.path} was recorded at {', '.join(f'{rate:g}' for rate in sorted(told))} actions per second, and "
            "a LeRobotDataset has one rate: export recordings of one rate"
        )
    rate = told.pop() if told else asked
    if rate is None:
        raise DataError(f"{journal.path} does not tell its rate: give --fps, the actions per second of its recording")
    if rate != round(rate) or asked not in (None, rate):
        raise DataError(
            f"{journal.path} was recorded at {rate:g} actions per second, and the dataset would say "
            f"{asked or round(rate)}: leave out --fps, or record at a whole number of them"
        )
    return round(rate)


class _Writer:
    """Writes episodes one after the other.

    Args:
        root: the dataset's directory.
        columns: of the observations.
        options: what else to say.
        fps: actions per second.
    """

    def __init__(self, root: Path, columns: list[Column], options: LeRobotOptions, fps: int) -> None:
        self._pa, self._pq = lerobot.load_package("pyarrow"), lerobot.load_package("pyarrow.parquet")
        self._root, self._columns, self._options = root, columns, options
        self._fps = fps
        self._videos = [column for column in columns if column.is_image and options.images == "video"]
        self._features: dict[str, dict[str, Any]] = {}
        self._statistics = Statistics()
        self._rows: list[dict[str, Any]] = []
        self._closing: list[Any] = []
        self._data: Any = None
        self._file = self._bytes = self._steps = 0

    @property
    def episodes(self) -> int:
        """How many were written."""
        return len(self._rows)

    def write(self, batch: Batch, success: bool) -> None:
        """Add an episode."""
        number, length = self.episodes, len(batch["rewards"])
        frames = {column.name: episode_frames(column, batch, number) for column in self._columns}
        images = {column.name: frames[column.name][:-1] for column in self._columns if column.is_image}
        vectors = {name: array[:-1].reshape(length, -1) for name, array in frames.items() if name not in images}
        vectors |= _outcomes(batch, success) | self._places(number, length)
        self._features = self._features or self._describe(vectors, images)
        stored = {name: value for name, value in images.items() if self._features[name]["dtype"] == "image"}
        self._append(self._table(vectors, stored))
        closing_images = {name: frames[name][-1:] for name in images}
        closing_vectors = {name: frames[name][-1:].reshape(1, -1) for name in frames if name not in images}
        self._closing.append(self._table(closing_vectors, closing_images))
        place = {"chunk_index": number // lerobot.FILES_IN_A_CHUNK, "file_index": number % lerobot.FILES_IN_A_CHUNK}
        row = self._row(number, length)
        for column in self._videos:
            path = self._root / lerobot.VIDEOS.format(video_key=column.name, **place)
            encode_video(path, images[column.name], self._fps)
            times = {"from_timestamp": 0.0, "to_timestamp": length / self._fps}
            row |= {f"videos/{column.name}/{key}": value for key, value in (place | times).items()}
        self._rows.append(row | self._statistics.add(vectors | images))
        self._steps += length

    def finish(self, spaces: Mapping[str, Any]) -> None:
        """Write what describes the whole.

        Raises:
            DataError: there was no episode.
        """
        if not self._rows:
            raise DataError("there is no episode to export")
        self._data.close()
        self._write_table(lerobot.EPISODES.format(chunk_index=0, file_index=0), self._pa.Table.from_pylist(self._rows))
        self._write_table(lerobot.TASKS, self._tasks())
        self._write_table(lerobot.CLOSING, self._pa.concat_tables(self._closing))
        self._write_json(lerobot.INFO, self._info())
        self._write_json(lerobot.STATS, self._statistics.as_json())
        self._write_json(lerobot.SPACES, spaces)

    def _places(self, number: int, length: int) -> dict[str, np.ndarray]:
        steps = np.arange(length)
        return {
            "timestamp": (steps / self._fps).astype(np.float32),
            "frame_index": steps,
            "episode_index": np.full(length, number),
            "index": self._steps + steps,
            "task_index": np.zeros(length, np.int64),
        }

    def _describe(self, vectors: Mapping[str, np.ndarray], images: Mapping[str, np.ndarray]) -> dict[str, Any]:
        features: dict[str, dict[str, Any]] = {
            name: {"dtype": array.dtype.name, "shape": list(array.shape[1:]) or [1], "names": None}
            for name, array in vectors.items()
        }
        kind = "video" if self._videos else "image"
        for name, array in images.items():
            shape = array.shape[1:]
            facts = {"info": video_facts(shape, self._fps)} if self._videos else {}
            names = {"names": ["height", "width", "channels"]}
            features[name] = {"dtype": kind, "shape": list(shape), **names, **facts}
        return features

    def _table(self, vectors: Mapping[str, np.ndarray], images: Mapping[str, np.ndarray]) -> Any:
        pa = self._pa
        columns = {name: self._array(array) for name, array in vectors.items()}
        kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        for name, frames in images.items():
            columns[name] = pa.array([{"bytes": to_png(frame), "path": None} for frame in frames], kind)
        return pa.table(columns)

    def _array(self, array: np.ndarray) -> Any:
        """A column of numbers, or of lists of one length; a list of one number is that number, as LeRobot has it."""
        flat = self._pa.array(array.reshape(-1))
        size = array.shape[1] if array.ndim > 1 else 1
        return flat if size == 1 else self._pa.FixedSizeListArray.from_arrays(flat, size)

    def _append(self, table: Any) -> None:
        if self._data is not None and self._bytes + table.nbytes > _BYTES_IN_A_FILE:
            self._data.close()
            self._data, self._file, self._bytes = None, self._file + 1, 0
        if self._data is None:
            path = self._root / lerobot.DATA.format(**self._data_place())
            path.parent.mkdir(parents=True, exist_ok=True)
            self._data = self._pq.ParquetWriter(path, table.schema)
        self._data.write_table(table)
        self._bytes += table.nbytes

    def _data_place(self) -> dict[str, int]:
        chunk, file = divmod(self._file, lerobot.FILES_IN_A_CHUNK)
        return {"chunk_index": chunk, "file_index": file}

    def _row(self, number: int, length: int) -> dict[str, Any]:
        return {
            "episode_index": number,
            "tasks": [self._options.task],
            "length": length,
            "dataset_from_index": self._steps,
            "dataset_to_index": self._steps + length,
            **{f"data/{key}": value for key, value in self._data_place().items()},
            "meta/episodes/chunk_index": 0,
            "meta/episodes/file_index": 0,
        }

    def _tasks(self) -> Any:
        """Make the table of tasks: LeRobot looks a task up by its words, which are the index of a pandas table."""
        index = "__index_level_0__"
        facts = {"name": None, "field_name": index, "pandas_type": "unicode", "numpy_type": "object", "metadata": None}
        numbers = facts | {"name": "task_index", "field_name": "task_index", "pandas_type": "int64"}
        pandas = {"index_columns": [index], "column_indexes": [], "columns": [numbers | {"numpy_type": "int64"}, facts]}
        table = self._pa.table({"task_index": [0], index: [self._options.task]})
        return table.replace_schema_metadata({"pandas": json.dumps(pandas | {"pandas_version": "2.0.0"})})

    def _info(self) -> dict[str, Any]:
        return {
            "codebase_version": lerobot.VERSION,
            "robot_type": self._options.robot,
            "total_episodes": self.episodes,
            "total_frames": self._steps,
            "total_tasks": 1,
            "chunks_size": lerobot.FILES_IN_A_CHUNK,
            "data_files_size_in_mb": _BYTES_IN_A_FILE >> 20,
            "video_files_size_in_mb": 200,
            "fps": self._fps,
            "splits": {"train": f"0:{self.episodes}"},
            "data_path": lerobot.DATA,
            "video_path": lerobot.VIDEOS if self._videos else None,
            "features": self._features,
        }

    def _write_table(self, place: str, table: Any) -> None:
        path = self._root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        self._pq.write_table(table, path)

    def _write_json(self, place: str, content: Any) -> None:
        path = self._root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=2) + "\n")


def episode_frames(column: Column, batch: Batch, number: int) -> np.ndarray:
    """The frames (length + 1, …) of an episode's observation, the one after the last action included.

    Raises:
        DataError: the transitions do not follow one another, so that a dataset of steps cannot hold them.
    """
    before, after = column.pick(batch["observations"]), column.pick(batch["next_observations"])
    newest: Callable[[np.ndarray], np.ndarray] = (
        (lambda stacks: stacks) if column.frames is None else (lambda stacks: stacks[:, -1])
    )
    frames = np.concatenate([newest(before), newest(after)[-1:]])
    stacks = frames if column.frames is None else lerobot.restack(frames, column.frames)
    if not np.array_equal(stacks[:-1], before) or not np.array_equal(stacks[1:], after):
        raise DataError(
            f"episode {number}: {column.name} does not go on from each step to the next, and a LeRobotDataset holds "
            "steps that follow one another"
        )
    return frames.astype(column.dtype, copy=False)


def _outcomes(batch: Batch, success: bool) -> dict[str, np.ndarray]:
    """The action and what came of it; why the episode ended is told apart."""
    length = len(batch["rewards"])
    ends = np.arange(length) == length - 1
    terminated = ends & (np.asarray(batch["masks"]) == 0)
    extras = {lerobot.extra_column(name): np.asarray(value) for name, value in batch.items() if name not in FIELDS}
    return {
        lerobot.ACTION: np.asarray(batch["actions"], np.float32).reshape(length, -1),
        lerobot.REWARD: np.asarray(batch["rewards"], np.float32),
        lerobot.DONE: ends,
        lerobot.SUCCESS: ends & success,
        lerobot.TERMINATED: terminated,
        lerobot.TRUNCATED: ends & ~terminated,
        **extras,
    }
