"""The options of a replay."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro


@dataclass(frozen=True)
class ReplayOptions:
    """Take the actions of recorded episodes again, in the same cell or in another one."""

    file: Annotated[Path, tyro.conf.Positional]
    """Recorded episodes; a picture of how the replay compares, under its name with -replay.png, comes beside it."""
    env: str | None = None
    """Gymnasium id; by default the one that the episodes were recorded in."""
    cell: str | None = None
    """Workcell: a name, a .toml file or the URL of a robot server."""
    episodes: tuple[int, ...] = ()
    """Numbers of the episodes, from 0; by default all of them."""
    reward_classifier: Path | None = None
    """Directory of the classifier whose prediction is the only reward; by default the one that recorded, if one did."""
    positive_frames: int | None = None
    """Frames in a row that must pass for success before it pays; by default as in the recording."""
    video: Path | None = None
    """Write the best episode as .mp4 or .gif."""
