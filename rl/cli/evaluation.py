"""The commands that evaluate a checkpoint, and that replay recorded episodes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import tyro

from rl.cli.base_config import Flat, find_config
from rl.cli.command import BaseConfig, Command
from rl.evaluation.replay_options import ReplayOptions
from rl.offline.bc_options import SETTINGS as BC
from rl.offline.bc_options import TrainBcOptions
from rl.utils.run_directory import asked_directory
from rl.utils.subprocesses import Stop

_NOTE = "An evaluation that was stopped starts over."


@dataclass(frozen=True, kw_only=True)
class _Evaluation:
    checkpoint: Path | None = None
    """A directory step_… or the directory that holds them; by default the newest of the run in --out."""
    episodes: int = 20
    """Episodes to run."""
    video: Path | None = None
    """Write the best episode as .mp4 or .gif."""


@dataclass(frozen=True, kw_only=True)
class EvalOptions(_Evaluation):
    """Evaluate a checkpoint without exploration noise, and draw its episodes as eval.png of the run."""

    config: Flat


@dataclass(frozen=True, kw_only=True)
class EvalBcOptions(_Evaluation):
    """Evaluate a checkpoint of a behaviour cloning, and draw its episodes as eval.png of the run."""

    config: Annotated[TrainBcOptions, tyro.conf.arg(name="")]


def _find_base(arguments: list[str]) -> BaseConfig[EvalOptions | EvalBcOptions]:
    """The configuration of the run in --out, of either kind, or the one that --config or --preset names."""
    out, _ = asked_directory(arguments)
    if out is not None and BC.is_in(out):
        return BaseConfig(arguments, EvalBcOptions(config=replace(BC.read(out), out=out)), _NOTE)
    found = find_config(arguments, continues=True)
    assert found.options is not None
    return BaseConfig(found.arguments, EvalOptions(config=found.options), f"{_NOTE} {found.note}")


def evaluate(options: EvalOptions | EvalBcOptions, stop: Stop) -> None:
    """Evaluate a checkpoint."""
    from rich.console import Console

    from rl.evaluation.evaluate import run_eval

    run_eval(options.config, options.checkpoint, options.episodes, options.video, Console())


def replay(options: ReplayOptions, stop: Stop) -> None:
    """Replay recorded episodes."""
    from rich.console import Console

    from rl.evaluation.replay import run_replay

    run_replay(options, Console())


_HEADINGS = {
    "What is evaluated": ("out", "checkpoint", "episodes", "seed", "video"),
    "Where, if not as in training": ("env", "cell", "action_repeat", "frame_stack", "reward_classifier"),
}

EVALUATE: Command[EvalOptions | EvalBcOptions] = Command(
    "load a checkpoint and evaluate it", EvalOptions, evaluate, _find_base, _HEADINGS
)
REPLAY = Command("take the actions of recorded episodes again, here or in another cell", ReplayOptions, replay)
