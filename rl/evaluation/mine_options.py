"""The options of the commands that mine a run for the errors of its reward classifier, and that train it again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from rl.errors import ConfigError


@dataclass(frozen=True)
class MineOptions:
    """Take the frames that a run was probably paid for wrongly out of it, for a person to look at and to train on.

    A payment waits for a person's word in `waiting.sqlite` when its episode was shorter than --short-share of the
    shortest demonstration, or when a person took over within --takeover-steps before or after it. What a person denies
    becomes a negative, what a person confirms a positive; nothing else is labelled.

    Raises:
        ConfigError: a number is out of range, or a payment is both.
    """

    run: Annotated[Path, tyro.conf.Positional]
    """Directory of the run; it may still be running."""
    out: Path
    """Directory of `waiting.sqlite`, `negatives.sqlite` and `positives.sqlite`, to which frames are added, and of
    `mined.png`, which shows what waits and what else was paid, with the step at which it was."""
    denied: tuple[int, ...] = ()
    """Steps of payments, as `mined.png` tells them, that were no success."""
    confirmed: tuple[int, ...] = ()
    """Steps of payments that were a success."""
    deny_rest: bool = False
    """Whether everything else that waits is no success either."""
    short_share: float = 0.5
    """Share of the steps of the shortest demonstration below which no success is believed; 0 believes every one."""
    takeover_steps: int = 10
    """Steps before and after a payment in which a person who takes over casts a doubt on it."""
    frames: int | None = None
    """Newest frames to take of each payment; by default as many in a row as the run had to see."""
    reward_classifier: Path | None = None
    """Directory of the classifier that paid; by default the run's."""
    demos: tuple[Path, ...] = ()
    """Files of demonstrations to compare lengths with; by default the run's."""

    def __post_init__(self) -> None:
        """Refuse what cannot be mined."""
        if not 0.0 <= self.short_share < float("inf") or self.takeover_steps < 0:
            raise ConfigError("--short-share and --takeover-steps must be at least 0")
        if self.frames is not None and self.frames < 1:
            raise ConfigError(f"--frames must be at least 1, not {self.frames}")
        if both := sorted(set(self.denied) & set(self.confirmed)):
            raise ConfigError(f"--denied and --confirmed both name {', '.join(map(str, both))}")


@dataclass(frozen=True)
class RetrainOptions:
    """Train a reward classifier again, from nothing, on its frames and on mined ones.

    Raises:
        ConfigError: nothing was mined.
    """

    classifier: Annotated[Path, tyro.conf.Positional]
    """Directory of the classifier, whose settings and files of frames are taken."""
    out: Path
    """Directory of the new one. `robotkit-train classifier --out DIRECTORY --resume` continues it."""
    mined: tuple[Path, ...] = ()
    """Directories of `classifier mine`, or of `record success`."""
    epochs: int | None = None
    """Passes; by default as many as the classifier had."""
    device: str | None = None
    """Where it computes; by default where the classifier was trained."""

    def __post_init__(self) -> None:
        """Refuse what would be the same classifier."""
        if not self.mined:
            raise ConfigError("--mined is empty: name a directory of `classifier mine` or of `record success`, or more")
