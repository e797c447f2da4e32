"""The options of HG-DAgger: those of the clone that acts, and the rounds in which a person corrects it."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Any

from rl.agents.continuous.bc_config import BcConfig
from rl.errors import ConfigError
from rl.offline.bc_options import ALL_CAMERAS, TrainBcOptions
from rl.offline.settings import SettingsFile
from rl.utils.option_words import option
from rl.utils.run_directory import HG_DAGGER_SETTINGS

_DECAYING = replace(ALL_CAMERAS, optimizer=replace(ALL_CAMERAS.optimizer, cosine_decay_steps="run"))
_LEAST = {"rounds": 1, "episodes_per_round": 1, "epochs": 1, "evaluation_episodes": 0}
_KEPT = ("env", "epochs", "episodes_per_round", "held_out", "seed")
"""Options that decide which steps a round learns from, and when: a run keeps them, and the steps of its demonstrations,
whose files may be moved."""


@dataclass(frozen=True)
class HgDaggerOptions(TrainBcOptions):
    """Let a clone of demonstrations act, and clone again what a person does who takes over.

    Raises:
        ConfigError: a value is out of range.
    """

    human: str | None = None
    """Device or script that takes over: spacemouse, gamepad, keyboard, or scripted; that is the environment's expert,
    after the policy has had its time. Only an environment that brings a person of its own needs none."""
    rounds: int = 10
    """Times that a clone is trained again; a run that is continued may be given more."""
    episodes_per_round: int = 5
    """Episodes before a clone is trained again."""
    epochs: int = 200
    """Passes of each training over the demonstrations and all corrections so far."""
    checkpoint_every: int = 1000
    """Epochs between two checkpoints; the end of each training is always saved, and by default it alone."""
    evaluation_episodes: int = 0
    """Episodes without help after each training, always from the same starts; 0 for none."""
    bc: BcConfig = _DECAYING

    def __post_init__(self) -> None:
        """Refuse what cannot run."""
        super().__post_init__()
        for name, least in _LEAST.items():
            if (value := getattr(self, name)) < least:
                raise ConfigError(f"{option(name)} must be at least {least}, not {value}")
        if self.human is not None and self.action_repeat > 1:
            raise ConfigError(
                f"{option('human')} needs {option('action_repeat', 1)}: a person may take over at any step"
            )

    def epochs_after(self, rounds: int) -> int:
        """Epochs of the whole run after so many rounds; before the first one the demonstrations alone are cloned."""
        return (rounds + 1) * self.epochs

    def as_bc(self, rows: int) -> TrainBcOptions:
        """The options of one training, as those of a behaviour cloning that learns from so many rows.

        `cosine_decay_steps="run"` is the last step of that training.
        """
        own: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(TrainBcOptions)}
        optimizer = self.bc.optimizer
        if optimizer.cosine_decay_steps == "run":
            steps = math.ceil(rows / self.batch_size) * self.epochs
            optimizer = replace(optimizer, cosine_decay_steps=max(optimizer.warmup_steps + 1, steps))
        return TrainBcOptions(**{**own, "bc": replace(self.bc, optimizer=optimizer)})

    def require_continues(self, stored: HgDaggerOptions) -> None:
        """Raise `ConfigError` where these options cannot continue a run of `stored`."""
        for name in _KEPT:
            if getattr(self, name) != getattr(stored, name):
                raise ConfigError(
                    f"{option(name)} decides what was learned so far, and this run began with {getattr(stored, name)}: "
                    "leave it out, or begin another run"
                )


SETTINGS = SettingsFile(HgDaggerOptions, HG_DAGGER_SETTINGS)
