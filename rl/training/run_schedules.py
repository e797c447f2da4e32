"""`with_run_length`: learning rates that decay over a run, whatever its length."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from typing import Any, TypeVar

from rl.agents.continuous.sac_config import SacConfig
from rl.agents.continuous.vice_config import ViceConfig
from rl.common.optimizer_config import OptimizerConfig
from rl.config import TrainConfig
from rl.errors import ConfigError
from rl.utils.option_words import option

SettingsT = TypeVar("SettingsT", bound=SacConfig)


def with_run_length(config: TrainConfig, settings: SettingsT) -> SettingsT:
    """The agent's settings with every `cosine_decay_steps="run"` replaced by the steps of that optimizer in this run.

    Critics step `utd_ratio` times where the other networks step once. Where optimizers step at every update, whatever
    it is of, all of them do so together.

    Raises:
        ConfigError: the run has no fixed number of updates.
    """
    found: dict[str, Any] = {
        name: replace(getattr(settings, name), cosine_decay_steps=_steps(config, settings, name))
        for name in decaying_with_run(settings)
    }
    return replace(settings, **found)


def decaying_with_run(settings: SacConfig) -> list[str]:
    """The fields of the optimizers whose rate ends with the run."""
    return [
        field.name
        for field in fields(settings)
        if isinstance(optimizer := getattr(settings, field.name), OptimizerConfig)
        and optimizer.cosine_decay_steps == "run"
    ]


def _steps(config: TrainConfig, settings: SacConfig, name: str) -> int:
    if config.env_steps_per_update is None:
        raise ConfigError(
            f"{option(f'agent.{name}.cosine_decay_steps', 'run')} needs {option('env_steps_per_update')}: without it "
            "nobody knows how many updates the run will have; or give a number of steps"
        )
    updates = max(1, math.floor((config.steps - config.training_starts) / config.env_steps_per_update))
    if not settings.selective_optimizer_steps:
        return updates * _applications(config.utd_ratio, settings)
    return updates * config.utd_ratio if "critic" in name else updates


def _applications(utd_ratio: int, settings: SacConfig) -> int:
    """How often gradients are applied in an update: to the critics, then to the others, and before to a classifier."""
    apart = 0 if settings.joint_last_step else 1
    return utd_ratio + apart + (1 if isinstance(settings, ViceConfig) else 0)
