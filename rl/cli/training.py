"""The commands that train."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from rl.cli.base_config import Flat, find_config, on_config
from rl.cli.command import Command, parse
from rl.config import TrainConfig
from rl.errors import ConfigError, LinkUnavailable, PolicyUnavailable
from rl.presets import find_missing_options
from rl.training.start_from_demos import with_cloned_demos
from rl.utils.subprocesses import Stop

_START = ("preset", "agent", "env", "cell")
_BASE = ("base", "residual.scale")
_EXPECTATIONS = {
    "replay.demos": "record demonstrations with `robotkit-train record demos`, or nothing but the agent's own "
    "experience is learned from",
    "reward_classifier": "train one with `robotkit-train classifier`, or the environment's own reward is learned from",
    "human": "name who takes over from the actor, or nobody does",
}
"""Purposes of the options that presets expect."""
_OF_ACTORS = ("reward_classifier", "human")
_LINK = ("link.host", "link.port")
_RUN = ("out", "resume", "steps", "seed")
_LEARNING = {
    "Data": ("replay.demos", "goals", "replay.capacity", "replay.n_step"),
    "Pace": ("batch_size", "utd_ratio", "env_steps_per_update", "random_steps", "training_starts"),
    "Log": ("log_every", "checkpoint_every", "tensorboard", "wandb_project"),
    "Machine": ("device", "compile", *_LINK),
}
_TRAIN_HEADINGS = {
    "What is learned": (*_START, "base", "from_demos", "human", "reward_classifier", "frame_stack"),
    "Run": (*_RUN, "actors"),
    "Evaluation": ("evaluation.every_steps", "evaluation.episodes", "evaluation.where", "evaluation.stop_at_success"),
    **_LEARNING,
}
_LEARNER_HEADINGS = {
    "What is learned": ("preset", "agent", "env", *_BASE, "from_demos", "frame_stack"),
    "Run": (*_RUN, "evaluation.stop_at_success"),
    **_LEARNING,
}
_ACTOR_HEADINGS = {
    "What is learned": (*_START, *_BASE, "human", "reward_classifier", "frame_stack", "action_repeat"),
    "Run": ("name", "seed", "random_steps", *_LINK, "link.overflow", "link.capacity", "link.give_up_s"),
    "Evaluation": ("evaluation.every_steps", "evaluation.episodes", "evaluation.where"),
}
_EVALUATOR_HEADINGS = {
    "What is learned": (*_START, *_BASE, "reward_classifier", "frame_stack", "action_repeat"),
    "Evaluation": (
        "evaluation.every_steps",
        "evaluation.episodes",
        "evaluation.video_episodes",
        "evaluation.cell",
        "seed",
        *_LINK,
    ),
}


@dataclass(frozen=True)
class ActorOptions:
    """Collect experience for a learner."""

    config: Flat
    name: str = "actor-0"
    """Name of this actor; each actor of a run needs its own."""


def train(config: TrainConfig, stop: Stop) -> None:
    """Start everything on this machine."""
    config = _begun(config)
    config.require_trainable()
    from rl.training.base_policies import pinned
    from rl.training.preflight import require_startable

    _warn(config, find_missing_options(config))
    with _ends_when_stopped(stop):
        require_startable(config, stop)  # in a second, where a child would need the time to import torch
    from rich.console import Console

    from rl.training.supervisor import run_train

    if not stop.is_set():
        run_train(_with_directory(pinned(config)), stop, Console())


def learner(config: TrainConfig, stop: Stop) -> None:
    """The learner's process."""
    config = _begun(config)
    config.require_trainable()
    _warn(config, [name for name in find_missing_options(config) if name not in _OF_ACTORS])
    from rl.training.base_policies import pinned
    from rl.training.processes import run_learner_process

    if not stop.is_set():
        run_learner_process(_with_directory(pinned(config)), stop)


def actor(options: ActorOptions, stop: Stop) -> None:
    """An actor's process."""
    from rl.training.processes import run_actor_process

    with _ends_when_stopped(stop):
        run_actor_process(options.config, options.name, stop)


def evaluator(config: TrainConfig, stop: Stop) -> None:
    """The evaluator's process."""
    from rl.training.processes import run_evaluator_process

    with _ends_when_stopped(stop):
        run_evaluator_process(config, stop)


def _begun(config: TrainConfig) -> TrainConfig:
    """The configuration with the demonstrations that a new run clones among the learner's; a stored one has them."""
    return config if config.resume else with_cloned_demos(config)


def _warn(config: TrainConfig, missing: list[str]) -> None:
    """Say which options a preset expects and was not given; it trains without them, as something else."""
    for name in missing:
        option = f"--{name.replace('_', '-')}"
        print(  # noqa: T201
            f"warning: --preset {config.preset} is made for a training with {option}, which is not given: "
            f"{_EXPECTATIONS[name]}",
            file=sys.stderr,
        )


@contextmanager
def _ends_when_stopped(stop: Stop) -> Iterator[None]:
    """Ignore that no learner or policy was found when somebody asked for the end while it was waited for."""
    try:
        yield
    except (LinkUnavailable, PolicyUnavailable):
        if not stop.is_set():
            raise


def parse_train_options(command: str, arguments: list[str]) -> TrainConfig:
    """Return the configuration that the options of `train`, `learner` and `evaluator` ask for."""
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
    "start a learner, actors and an evaluator on this machine", TrainConfig, train, find_config, _TRAIN_HEADINGS
)
LEARNER = Command(
    "the learner alone; under torchrun on several processes", TrainConfig, learner, find_config, _LEARNER_HEADINGS
)
ACTOR = Command(
    "one actor, for a learner that runs elsewhere", ActorOptions, actor, on_config(ActorOptions), _ACTOR_HEADINGS
)
EVALUATOR = Command(
    "an evaluator of a running learner's newest weights", TrainConfig, evaluator, find_config, _EVALUATOR_HEADINGS
)
