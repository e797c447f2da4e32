"""`ResidualConfig`: the settings of a correction that is learned on a frozen base policy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rl.errors import ConfigError
from rl.utils.option_words import option


@dataclass(frozen=True)
class ResidualConfig:
    """The settings of the correction that an agent learns on the policy of --base.

    Raises:
        ConfigError: a value is out of range.
    """

    scale: tuple[float, ...] = (0.2,)
    """Largest correction of the base's action; in units of the agent's actions, which lie in [-1, 1], one value for all
    numbers of an action, or one for each. A fifth moves the arm by a tenth of its range: enough to correct where a base
    misses by little, and too little to undo what it does while nothing is learned yet. A gripper whose command must be
    turned round needs up to 2."""
    prompt: str | None = None
    """Task in words, which a served policy gets with each observation."""
    chunk_steps: int | None = None
    """Actions of each served chunk that are taken before the next one is asked for; all by default."""
    answer_timeout_s: float = 1.0
    """Longest wait for a served policy in the middle of an episode, while the arm has no new action."""
    start_timeout_s: float = 60.0
    """Longest wait for its first answer of an episode, while the arm stands still: a large model compiles first."""

    def __post_init__(self) -> None:
        """Refuse what bounds nothing."""
        if not self.scale or not all(0.0 < one <= 2.0 for one in self.scale):
            raise ConfigError(
                f"{option('residual.scale')} must be above 0 and at most 2, the whole range of an action, not "
                f"{self.scale}"
            )
        if self.chunk_steps is not None and self.chunk_steps < 1:
            raise ConfigError(f"{option('residual.chunk_steps')} must be at least 1, not {self.chunk_steps}")
        for name in ("answer_timeout_s", "start_timeout_s"):
            if not 0.0 < getattr(self, name) < math.inf:
                raise ConfigError(f"{option(f'residual.{name}')} must be positive, not {getattr(self, name)}")

    def scales(self, action_dim: int) -> tuple[float, ...]:
        """The scale of each number of an action.

        Raises:
            ConfigError: there are more or fewer than an action has.
        """
        if len(self.scale) not in (1, action_dim):
            raise ConfigError(
                f"{option('residual.scale')} has {len(self.scale)} values, and an action has {action_dim} numbers: "
                "give one value for all, or one for each"
            )
        return self.scale * action_dim if len(self.scale) == 1 else self.scale


def require_residual_agent(base: str | None, from_demos: Sequence[Path], agent: str, has_proposal: bool) -> None:
    """Raise `ConfigError` when an agent cannot learn a correction.

    Args:
        base: name of its base policy.
        from_demos: demonstrations whose clone is its base policy.
        agent: name of its kind.
        has_proposal: whether it has a proposal policy too.
    """
    if base is not None and from_demos:
        raise ConfigError(
            f"{option('base')} and {option('from_demos')} name two policies to correct: give {option('from_demos')} to "
            f"clone the demonstrations, or {option('base')} for a policy that exists, with {option('replay.demos')}"
        )
    asked = option("from_demos") if from_demos else option("base")
    if base is None and not from_demos:
        return
    if agent.startswith("hybrid"):
        raise ConfigError(
            f"{option('agent', agent)} chooses whole gripper commands, which are no correction of those of "
            f"{asked}: choose {option('agent', 'sac')} or {option('agent', 'drq')}"
        )
    if has_proposal:
        raise ConfigError(
            f"{asked} and {option('agent.proposal')} are two frozen policies for one agent: choose one of them"
        )
