"""Pictures and videos of results: what cannot be made is found before anything runs, and no result is lost to one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import imageio.v3 as imageio
from rich.console import Console

from rl.common.evaluation import Episode
from rl.errors import ConfigError

_FRAMES_PER_S = 25

Draw = Callable[[str, Path, Callable[[], object]], None]


def require_video(path: Path) -> None:
    """Make the folder of a video, and raise `ConfigError` where none can be written."""
    if path.suffix not in (".mp4", ".gif"):
        raise ConfigError(f"a video ends in .mp4 or .gif, not {path.suffix or 'nothing'}: {path}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"the video {path} cannot be written: {error}") from error
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise ConfigError(f"the video {path} cannot be written: choose a file in a folder that you may write to")


def write_video(episode: Episode, path: Path) -> None:
    """Write an episode's frames; .mp4 or .gif by the ending.

    Raises:
        ValueError: the episode has none.
    """
    if not episode.frames:
        raise ValueError("no frames were rendered")
    if path.suffix == ".gif":
        imageio.imwrite(path, episode.frames, duration=1000 / _FRAMES_PER_S, loop=0)
    else:
        imageio.imwrite(path, episode.frames, fps=_FRAMES_PER_S)


@contextmanager
def drawn_last(console: Console) -> Iterator[Draw]:
    """Draw pictures of results that were printed already; each is tried, whatever becomes of the others.

    Yields:
        What takes a picture's kind, its file and what draws it.

    Raises:
        OSError: some could not be made, at the end.
    """
    failed: list[str] = []

    def draw(kind: str, path: Path, work: Callable[[], object]) -> None:
        try:
            work()
        except (OSError, RuntimeError, ValueError, ImportError) as error:
            failed.append(f"the {kind} {path} could not be made: {error}")
        else:
            console.print(f"{kind:<8} {path}", highlight=False, soft_wrap=True)

    yield draw
    if failed:
        raise OSError(f"{'; '.join(failed)}. The results above stand")
