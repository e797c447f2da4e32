"""The layout of demonstrations in a LeRobotDataset: names, paths and columns, for export and import.

The export writes version 3.0 of the format, the import reads 3.0 and 2.1. A row is one step: the observation, the
action taken there, and its results under `next.`. Two facts of a transition have no place in the format, so robotkit
adds one:

- `next.done` says that an episode ends, not why. Therefore the columns `next.terminated` (the task is over, mask 0) and
  `next.truncated` (a time limit, or a cut recording; mask 1) are added.
- The observation after the last action is in `robotkit/closing.parquet`, one row an episode, which other programs
  ignore. Without it the last step of a truncated episode has no value to bootstrap from.

The dataset does not keep the exact pixels of images that are stored as video, the seeds of recorded episodes, and the
older frames of a stack. The import stacks frames again, so that stacks of another kind are refused, like observations
other than `Box` and flat `Dict`.
"""

from __future__ import annotations

import importlib
import math
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import gymnasium as gym
import numpy as np

from rl.data.schema import GRASP_PENALTY
from rl.errors import DataError, MissingExtra

VERSION = "v3.0"
INFO = "meta/info.json"
STATS = "meta/stats.json"
TASKS = "meta/tasks.parquet"
EPISODES = "meta/episodes/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
OLD_EPISODES = "meta/episodes.jsonl"
DATA = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEOS = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
FILES_IN_A_CHUNK = 1000

SPACES = "robotkit/spaces.json"
CLOSING = "robotkit/closing.parquet"

ACTION, REWARD, DONE, SUCCESS = "action", "next.reward", "next.done", "next.success"
TERMINATED, TRUNCATED = "next.terminated", "next.truncated"
EXTRA = "complementary_info."
EXTRA_NAMES = {GRASP_PENALTY: "discrete_penalty"}
"""Our extra fields that LeRobot has another name for."""

_OBSERVATION, _IMAGES = "observation.", "observation.images."
_ONE_IMAGE, _ONE_VECTOR = "observation.image", "observation.state"


@dataclass(frozen=True)
class Column:
    """One observation and the column that it takes."""

    key: str | None
    """Name in a Dict observation; None when the observation is one array."""
    name: str
    """Name of the column."""
    frames: int | None
    """Length of the leading axis of stacked frames, when there is one."""
    shape: tuple[int, ...]
    """Shape of one frame."""
    dtype: np.dtype
    is_image: bool

    def pick(self, observations: Any) -> np.ndarray:
        """Return this observation's array out of a batch."""
        value = observations if self.key is None else observations[self.key]
        return np.asarray(value)


def columns_of(space: gym.Space[Any]) -> list[Column]:
    """The columns of an observation.

    Raises:
        DataError: it holds something else than arrays.
    """
    if isinstance(space, gym.spaces.Dict):
        return [_column(key, inner) for key, inner in space.spaces.items()]
    return [_column(None, space)]


def _column(key: str | None, space: gym.Space[Any]) -> Column:
    if not isinstance(space, gym.spaces.Box):
        raise DataError(
            f"an observation {key or ''} of the kind {type(space).__name__} has no place in a LeRobotDataset"
        )
    shape = tuple(space.shape)
    is_image = is_image_shape(shape, space.dtype)
    stacked = len(shape) == (4 if is_image else 2)
    dtype = np.dtype(np.float32) if np.issubdtype(space.dtype, np.floating) else np.dtype(space.dtype)
    name = column_name(key, is_image)
    return Column(key, name, shape[0] if stacked else None, shape[1:] if stacked else shape, dtype, is_image)


def is_image_shape(shape: tuple[int, ...], dtype: Any) -> bool:
    """True for RGB bytes, of one frame or of several."""
    return np.dtype(dtype) == np.uint8 and len(shape) in (3, 4) and shape[-1] == 3


def column_name(key: str | None, is_image: bool) -> str:
    """LeRobot's name of an observation."""
    if key is None:
        return _ONE_IMAGE if is_image else _ONE_VECTOR
    return (_IMAGES if is_image else _OBSERVATION) + key


def key_of(column: str) -> str | None:
    """The observation in a column; None when it holds something else."""
    if column == _ONE_IMAGE:
        return "image"
    if column.startswith(_IMAGES):
        return column.removeprefix(_IMAGES)
    return column.removeprefix(_OBSERVATION) if column.startswith(_OBSERVATION) else None


def restack(frames: np.ndarray, count: int) -> np.ndarray:
    """(n, …) frames of an episode as n stacks (n, count, …), oldest first; before the first there is the first."""
    numbers = np.arange(len(frames))[:, None] + np.arange(1 - count, 1)
    stacks: np.ndarray = frames[np.maximum(numbers, 0)]
    return stacks


def stack_as(frames: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """(n, …) frames in the shape that a space asks for, stacked when it asks for several of them."""
    frame = math.prod(frames.shape[1:])
    wanted = math.prod(shape)
    if wanted != frame and frame and wanted % frame == 0 and (len(shape) == 1 or shape[1:] == frames.shape[1:]):
        frames = restack(frames, wanted // frame)
    return frames.reshape(len(frames), *shape) if math.prod(frames.shape[1:]) == wanted else frames


def extra_column(name: str) -> str:
    """The column of one of our extra fields."""
    return EXTRA + EXTRA_NAMES.get(name, name)


def extra_of(column: str) -> str:
    """Our name of an extra column."""
    name = column.removeprefix(EXTRA)
    return next((ours for ours, theirs in EXTRA_NAMES.items() if theirs == name), name)


def load_package(name: str) -> ModuleType:
    """Pyarrow or av, which only this format needs.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        raise MissingExtra(f"LeRobotDatasets need {package}: pip install 'robotkit[lerobot]'") from error
