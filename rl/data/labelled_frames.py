"""Labelled frames: camera images of one class, episode by episode, in a journal file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rl.data.journal import Block, TransitionJournal
from rl.errors import DataError
from rl.utils.tree import stack

_FACTS = {"content": "labelled frames"}
_RECORDER = "recorder"

Frame = Mapping[str, np.ndarray]
"""Images (height, width, channels) by camera."""


@dataclass(frozen=True)
class EpisodeFrames:
    """Frames of one class out of one episode."""

    episode: str
    """Name of the episode, the same in every file that has frames of it."""
    images: Mapping[str, np.ndarray]
    """uint8 (frames, height, width, channels) by camera."""

    def __len__(self) -> int:
        return len(next(iter(self.images.values())))


class FrameWriter:
    """Appends frames of one class to a file; what was written survives a kill.

    Args:
        path: the file; an existing one gets more episodes, with images of the same shapes.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._journal = TransitionJournal(path, metadata=_FACTS)
        self._episodes = [_name(block) for block in self._journal.blocks()]

    def __enter__(self) -> FrameWriter:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __len__(self) -> int:
        """Frames in the file."""
        return len(self._journal)

    @property
    def episodes(self) -> tuple[str, ...]:
        """Names of the episodes that have frames in the file, in their order."""
        return tuple(self._episodes)

    def write(self, episode: str, frames: Sequence[Frame]) -> None:
        """Append the frames of an episode, if there are any; those of an episode that is there stay as they are."""
        if frames and episode not in self._episodes:
            first = self._journal.last_sequence(_RECORDER) + 1
            self._journal.append(_RECORDER, first, stack(list(frames)), {"episode": episode})
            self._episodes.append(episode)

    def close(self) -> None:
        """Finish the file."""
        self._journal.close()


def read_frames(files: Sequence[Path], cameras: Sequence[str] | None = None) -> list[EpisodeFrames]:
    """The frames of all files.

    Args:
        files: what `FrameWriter` wrote.
        cameras: which to read; all when None.

    Raises:
        JournalError: a file is missing or holds something else.
        DataError: a camera is not in a file.
    """
    return [found for file in files for found in _read_file(file, cameras)]


def spread_frames(file: Path, count: int) -> tuple[int, list[tuple[str, Frame]]]:
    """The number of frames in a file, and at most `count` of them, evenly spread, each with the name of its episode.

    Raises:
        JournalError: the file is missing or holds something else.
    """
    with TransitionJournal(file, read_only=True, metadata=_FACTS) as journal:
        total = len(journal)
    wanted = np.unique(np.linspace(0, total - 1, min(count, total)).round().astype(int))
    chosen: list[tuple[str, Frame]] = []
    start = 0
    for frames in _read_file(file, None):
        rows = wanted[(wanted >= start) & (wanted < start + len(frames))] - start
        chosen += [(frames.episode, {name: images[row] for name, images in frames.images.items()}) for row in rows]
        start += len(frames)
    return total, chosen


def _read_file(file: Path, cameras: Sequence[str] | None) -> Iterator[EpisodeFrames]:
    with TransitionJournal(file, read_only=True, metadata=_FACTS) as journal:
        for block in journal.blocks():
            images: dict[str, Any] = block.transitions
            missing = [name for name in cameras or () if name not in images]
            if missing:
                raise DataError(f"{file} has no camera {', '.join(missing)}; it has: {', '.join(images)}")
            yield EpisodeFrames(_name(block), {name: images[name] for name in cameras or images})


def _name(block: Block) -> str:
    return str(block.info["episode"])
