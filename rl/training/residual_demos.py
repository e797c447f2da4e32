"""Demonstrations for an agent that corrects a base policy: each step with the base's action, and with its residual."""

from __future__ import annotations

import logging
from pathlib import Path

from rl.config import TrainConfig
from rl.errors import ConfigError
from rl.link.messages import AgentSpec, build_space
from rl.training.base_checkpoint import StoredPolicy, is_run
from rl.utils.option_words import option
from rl.utils.tree import Batch
from rl.wrappers.base_observation import add_base_actions, residual_of, without_base_space

logger = logging.getLogger(__name__)


def require_base_of_demos(config: TrainConfig) -> None:
    """Raise `ConfigError` where the base's action in the states of demonstrations cannot be told.

    A stored policy is asked at the stored observations; others act in an environment alone.
    """
    if config.base is None or not config.replay.demos:
        return
    if not is_run(Path(config.base)):
        raise ConfigError(
            f"{option('base', config.base)} acts in an environment alone, so that its actions in the states of "
            f"{option('replay.demos')} are not known: leave the demonstrations out, or choose a run of `bc` or `train` "
            f"as {option('base')}"
        )
    stored = StoredPolicy.find(Path(config.base)).adaptation
    wanted = config.adaptation()
    names = ("frame_stack", "sees_images", "cameras", "images")
    if different := [name for name in names if getattr(stored, name) != getattr(wanted, name)]:
        raise ConfigError(
            f"{option('replay.demos')} hold what the agent observes, and the policy at {config.base} observes "
            f"something else ({', '.join(different)}): train both with the same settings, or leave them out"
        )


class DemoResiduals:
    """Turns the transitions of demonstrations into those of an agent that corrects a stored policy.

    Args:
        config: of the run.
        spec: of its environment, with the base's action in the observation.

    Raises:
        ConfigError: the base's actions in their states cannot be told, or the base does not fit.
        CheckpointError: the base cannot be read.
    """

    def __init__(self, config: TrainConfig, spec: AgentSpec) -> None:
        require_base_of_demos(config)
        assert config.base_source is not None
        action = build_space(spec.action)
        assert action.shape is not None
        self._scale = config.residual.scales(action.shape[0])
        self.spaces = without_base_space(build_space(spec.observation), action.shape[0]), action
        """The spaces of observations and actions in the files."""
        self._policy = StoredPolicy.find(Path(config.base_source)).load(*self.spaces)
        self._steps = self._clipped = 0

    def convert(self, batch: Batch) -> Batch:
        """The transitions of an episode with the base's actions in the observations, and residuals as actions."""
        base = self._policy.sample_actions(batch["observations"], argmax=True).clip(-1.0, 1.0)
        following = self._policy.sample_actions(batch["next_observations"], argmax=True).clip(-1.0, 1.0)
        residuals, is_clipped = residual_of(batch["actions"], base, self._scale)
        self._steps += len(is_clipped)
        self._clipped += int(is_clipped.sum())
        return {
            **batch,
            "observations": add_base_actions(batch["observations"], base),
            "next_observations": add_base_actions(batch["next_observations"], following),
            "actions": residuals,
        }

    def say_clipped(self) -> None:
        """Say in how many steps the demonstrated action was out of the residual's reach."""
        logger.info(
            "%d of %d demonstrated steps are farther from the base's action than a residual of scale %s reaches, and "
            "have the nearest one",
            *(self._clipped, self._steps, list(self._scale)),
        )
