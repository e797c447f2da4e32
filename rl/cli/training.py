"""The commands that train."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from rl.cli.base_config import Flat, find_config, on_config
from rl.cli.command import Command, parse
from rl.config import TrainConfig
from rl.errors import ConfigError
from rl.utils.subprocesses import StopSignal


@dataclass(frozen=True)
class ActorOptions:
    """Collect experience for a learner."""

    config: Flat
    name: str = "actor-0"
    """Name of this actor; each actor of a run needs its own."""


def train(config: TrainConfig) -> None:
    """Start everything on this machine."""
    from rl.training.supervisor import run_train

    config = _with_directory(config)
    config.require_demos()
    config.require_goals()
    run_train(config, StopSignal().listen(), Console())


def learner(config: TrainConfig) -> None:
    """The learner's process."""
    stop = StopSignal().listen()
    from rl.training.processes import run_learner_process

    config = _with_directory(config)
    config.require_demos()
    config.require_goals()
    run_learner_process(config, stop)


def actor(options: ActorOptions) -> None:
    """An actor's process."""
    stop = StopSignal().listen()
    from rl.training.processes import run_actor_process

    run_actor_process(options.config, options.name, stop)


def evaluator(config: TrainConfig) -> None:
    """The evaluator's process."""
    stop = StopSignal().listen()
    from rl.training.processes import run_evaluator_process

    run_evaluator_process(config, stop)


def parse_train_options(command: str, arguments: list[str]) -> TrainConfig:
    """What the options of `train`, `learner` and `evaluator` ask for."""
    return parse(TrainConfig, command, find_config(arguments))


def _with_directory(config: TrainConfig) -> TrainConfig:
    """A new directory under runs/ when none is given."""
    if config.out is not None:
        return config
    if config.resume:
        raise ConfigError("--resume needs --out: the directory of the run to continue")
    name = config.env.split(":")[-1]
    return replace(config, out=Path("runs") / f"{name}-{config.preset}-{time.strftime('%Y%m%d-%H%M%S')}-s{config.seed}")


TRAIN = Command(
    "start a learner, actors and an evaluator on this machine, and show how it goes", TrainConfig, train, find_config
)
LEARNER = Command(
    "the learner alone, under torchrun on several processes; actors may be on other machines",
    TrainConfig,
    learner,
    find_config,
)
ACTOR = Command("one actor, for a learner that runs elsewhere", ActorOptions, actor, on_config(ActorOptions))
EVALUATOR = Command(
    "an evaluator of a running learner's newest weights",
    TrainConfig,
    evaluator,
    find_config,
)
