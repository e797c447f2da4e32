"""The settings of a proposal policy: what is cloned from the demonstrations, and what it is asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rl.agents.continuous.bc_config import BcConfig
from rl.errors import ConfigError
from rl.utils.field_types import check_field_types


@dataclass(frozen=True)
class ProposalConfig:
    """A policy cloned from the demonstrations, which proposes an action beside that of the trained policy.

    Imitation bootstrapped reinforcement learning, Hu et al. 2023 (arXiv:2311.02198). It is cloned before the first step
    and frozen then. Its two uses are switched on one by one; the paper has both.

    Raises:
        ConfigError: a value is outside its range.
    """

    acts: bool = False
    """Whether the agent takes the proposed action wherever the critics do not value the trained policy's higher."""
    bootstraps: bool = False
    """Whether the target of the critics has the value of the better one of the two actions, as the agent takes it."""
    margin: float = 0.0
    """How much higher the critics must value the trained policy's action for it to be the better one, in units of the
    return; the paper has none. A policy finds the actions that critics overestimate, which a clone does not look for.
    """
    trusts_critics_after: int = 1000
    """Steps of the critics before which the proposed action is taken in every state, because critics that were hardly
    trained cannot tell which action is better."""
    cloning_updates: int = 4000
    """Updates by which the demonstrations are cloned."""
    batch_size: int = 256
    """Transitions in each of these updates."""
    hidden_dims: tuple[int, ...] = (256, 256)
    """Widths of the cloned policy's trunk."""

    def __post_init__(self) -> None:
        """Refuse what cannot be cloned."""
        check_field_types(self)
        for name in ("trusts_critics_after", "cloning_updates", "batch_size"):
            if (value := getattr(self, name)) < 1:
                raise ConfigError(f"{name} is {value}: allowed are 1 and more")
        if not 0.0 <= self.margin < math.inf:
            raise ConfigError(f"margin must be a finite number of at least 0, not {self.margin}")
        if any(width < 1 for width in self.hidden_dims):
            raise ConfigError(f"hidden_dims are widths of layers, each at least 1, not {self.hidden_dims}")

    @property
    def is_on(self) -> bool:
        """Whether there is a proposal policy at all."""
        return self.acts or self.bootstraps

    def cloning(self) -> BcConfig:
        """The settings of the cloning.

        The standard deviation is constant, so that the loss is the squared error. Where it is fitted too, the mean is
        fitted worse: cloned from 20 demonstrations of `PandaPickCube-v0`, such a policy lifted the cube in none of 30
        episodes, and this one in 19 of 20.
        """
        return BcConfig(
            hidden_dims=self.hidden_dims,
            std_parameterization="uniform",
            std_min=1.0,
            std_max=1.0,
            standardises=True,
        )
