"""The settings of a run that starts from demonstrations: `--from-demos`, and `from_demos` in Python."""

from __future__ import annotations

from dataclasses import replace

from rl.config import TrainConfig


def starting_from_demos(config: TrainConfig) -> TrainConfig:
    """The settings with which a correction of a clone begins where nothing else is asked for."""
    return replace(config, random_steps=0, agent=config.agent.correcting_a_clone())


def with_cloned_demos(config: TrainConfig) -> TrainConfig:
    """The configuration of a new run, which learns from the demonstrations that it clones as from others."""
    others = tuple(file for file in config.replay.demos if file not in config.from_demos)
    return replace(config, replay=replace(config.replay, demos=(*config.from_demos, *others)))
