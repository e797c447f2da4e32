"""The commands that evaluate a checkpoint, and that replay recorded episodes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from rl.cli.base_config import Flat, on_config
from rl.cli.command import Command
from rl.evaluation.evaluate import run_eval
from rl.evaluation.replay import ReplayOptions, run_replay


@dataclass(frozen=True)
class EvalOptions:
    """Evaluate a checkpoint without exploration noise, and draw its episodes as eval.png of the run.

    An evaluation that was stopped starts over.
    """

    config: Flat
    checkpoint: Path | None = None
    """A directory step_… or the directory that holds them; by default the newest of the run in --out."""
    episodes: int = 20
    """Episodes to run."""
    video: Path | None = None
    """Write the best episode as .mp4 or .gif."""


def evaluate(options: EvalOptions) -> None:
    """Evaluate a checkpoint."""
    run_eval(options.config, options.checkpoint, options.episodes, options.video, Console())


def replay(options: ReplayOptions) -> None:
    """Replay recorded episodes."""
    run_replay(options, Console())


EVAL = Command("load a checkpoint and evaluate it", EvalOptions, evaluate, on_config(EvalOptions, continues=True))
REPLAY = Command("take the actions of recorded episodes again, here or in another cell", ReplayOptions, replay)
