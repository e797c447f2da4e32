"""The clone of demonstrations that a run starts from, made before its first step and kept in its directory.

It is cloned as a proposal policy is (`ProposalConfig`), and its directory is that of a run of `robotkit-train bc`.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import torch
from rich.console import Console

from rl.agents.continuous.proposal_config import ProposalConfig
from rl.common.encoder_config import EncoderConfig
from rl.config import TrainConfig
from rl.data.demos import demo_spaces, summarize_demos
from rl.errors import CheckpointNotFound, DataError, RunExists
from rl.offline.bc import Cloning
from rl.offline.bc_options import SETTINGS as BC
from rl.offline.bc_options import TrainBcOptions
from rl.utils.checkpoint import Checkpoints
from rl.utils.option_words import option
from rl.utils.run_directory import CHECKPOINTS, CLONE, SPEC, holds_run
from rl.utils.subprocesses import Stop

logger = logging.getLogger(__name__)

CLONING = ProposalConfig()
_LOOK = EncoderConfig("compact", bottleneck_dim=64)
"""The encoder of a clone that sees images, whatever the agent's: it is trained in minutes without a GPU."""
_PARTS = 10
"""Checkpoints of a cloning from images, so that one that is stopped loses a tenth of them at most."""


def clone_demos(
    config: TrainConfig,
    demos: Sequence[Path],
    out: Path,
    stop: Stop,
    console: Console,
    spaces: tuple[gym.Space[Any], gym.Space[Any]] | None = None,
) -> bool:
    """Clone demonstrations, unless that was done before: vectors in seconds, images in minutes.

    From images, it sees those that the agent sees, shifted at random in the same way. The squared error of an action
    is minimised. Equal demonstrations and seeds give equal policies, also when the cloning was stopped and is taken up
    again. Global random generators and the number of threads stay as they are.

    Args:
        config: of the run that needs it: environment, adaptation and seed.
        demos: their files.
        out: directory of the clone.
        stop: ends it.
        console: for the progress.
        spaces: of observations and actions as the agent has them; by default those that the files name.

    Returns:
        False when it was stopped.

    Raises:
        DataError, JournalError: the files hold no demonstrations, or none with these spaces.
        CheckpointError: the directory cannot be written.
    """
    if has_clone(out):
        return True
    options = _options(config, demos, out)
    began_s = time.process_time()
    with _unchanged_torch():
        cloning = Cloning(options, *(spaces or demo_spaces(demos[0])), torch.device("cpu"))
        logger.info("cloning %d demonstrated steps into %s: %d epochs", cloning.transitions, out, options.epochs)
        if cloning.run(stop, console) < options.epochs:
            return False
        error = cloning.squared_error()
    logger.info(
        "cloned them in %.1f CPU-seconds: the squared error of an action is %.3g", time.process_time() - began_s, error
    )
    return True


def has_clone(path: Path) -> bool:
    """True when a clone lies there that was trained to its end."""
    steps = Checkpoints(path / CHECKPOINTS).steps()
    return bool(steps) and BC.is_in(path) and steps[-1] >= BC.read(path).epochs


def provide_clone(config: TrainConfig, stop: Stop, console: Console) -> bool:
    """Make the clone of a run that has not taken a step yet; for other runs, look that it is there.

    Returns:
        False when it was stopped.

    Raises:
        CheckpointNotFound: the run has taken steps, and its clone is gone.
        DataError, JournalError: the files hold no demonstrations.
    """
    if not config.from_demos:
        return True
    directory = config.directory()
    if (directory / SPEC).exists():
        require_clone(directory)
    if not clone_demos(config, config.from_demos, directory / CLONE, stop, console):
        return False
    say_settings(config)
    return True


def say_settings(config: TrainConfig) -> None:
    """Say how the correction of the clone begins."""
    named = {
        "residual.scale": scale[0] if len(scale := config.residual.scale) == 1 else " ".join(map(str, scale)),
        "random_steps": config.random_steps,
        "agent.standardises_inputs": config.agent.standardises_inputs,
        "agent.actor_starts_after": config.agent.actor_starts_after,
        "agent.mode_penalty": config.agent.mode_penalty,
    }
    logger.info("the agent corrects the clone, with %s", ", ".join(option(*each) for each in named.items()))


def require_clone(directory: Path) -> None:
    """Raise `CheckpointNotFound` when the clone that a run corrects is not in its directory."""
    if not has_clone(directory / CLONE):
        raise CheckpointNotFound(
            f"there is no finished clone in {directory / CLONE}, and the run corrects the one that its training or its "
            "learner made there before the first step: put it back, or start another run"
        )


def require_no_clone(directory: Path) -> None:
    """Raise `RunExists` when something is in the way of the clone of a new run."""
    if (directory / CLONE).exists():
        raise RunExists(
            f"{directory / CLONE} exists, and a new run keeps its clone there: choose another {option('out')}"
        )


def _options(config: TrainConfig, demos: Sequence[Path], out: Path) -> TrainBcOptions:
    summaries = {file: summarize_demos(file) for file in demos}
    if empty := [str(file) for file, summary in summaries.items() if not summary.episodes]:
        raise DataError(
            f"{', '.join(empty)} holds no demonstration to clone: record some with `robotkit-train record demos`"
        )
    batches = math.ceil(sum(summary.transitions for summary in summaries.values()) / CLONING.batch_size)
    epochs = math.ceil(CLONING.cloning_updates / batches)
    options = TrainBcOptions(
        demos=tuple(demos),
        out=out,
        env=config.env,
        cell=config.cell,
        action_repeat=config.action_repeat,
        frame_stack=config.frame_stack,
        resume=holds_run(out),
        epochs=epochs,
        batch_size=CLONING.batch_size,
        held_out=0.0,
        seed=config.seed,
        checkpoint_every=epochs,
        threads=1,
        bc=CLONING.cloning(),
    )
    settings = config.pixel_settings()
    if settings is None:
        return options
    seen = replace(_LOOK, image_keys=settings.encoder.image_keys, use_proprio=settings.encoder.use_proprio)
    cloning = replace(options.bc, encoder=seen, crop_padding=settings.crop_padding)
    every = math.ceil(epochs / _PARTS)
    return replace(options, sees_images=True, images=config.images, bc=cloning, checkpoint_every=every)


@contextmanager
def _unchanged_torch() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        torch.set_num_threads(threads)
