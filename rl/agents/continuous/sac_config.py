"""The settings of soft actor-critic, with the defaults of SERL's launcher."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Self

from rl.agents.continuous.proposal_config import ProposalConfig
from rl.common.optimizer_config import OptimizerConfig
from rl.errors import ConfigError
from rl.utils.field_types import check_field_types
from rl.utils.precision import Precision

_STEADY = OptimizerConfig(3e-4)
_WARMED_UP = OptimizerConfig(3e-4, warmup_steps=2000)


@dataclass(frozen=True)
class SacConfig:
    """Soft actor-critic with an ensemble of critics.

    REDQ is `critic_ensemble_size=10, critic_subsample_size=2` (Chen et al. 2021), plain SAC `2, None`.

    Raises:
        ConfigError: a value is outside its range.
    """

    critic_ensemble_size: int = 10
    """Critics held as one stacked set of parameters. RLPD, table 1."""
    critic_subsample_size: int | None = 2
    """Target critics whose minimum is the target, drawn anew for each update; `None` takes all."""
    subsample_with_replacement: bool = False
    """Whether the draw may take one critic twice, as SERL does; REDQ draws without replacement."""
    discount: float = 0.99
    """Discount per environment step."""
    reward_bias: float = 0.0
    """Number added to every reward that a critic learns from, also to each one in an n-step sum."""
    soft_target_update_rate: float = 0.005
    """Share by which targets move towards their parameters after each critic step."""
    hidden_dims: tuple[int, ...] = (256, 256)
    """Widths of the trunks of policy and critics."""
    activations: str = "tanh"
    """Name of the trunks' activation."""
    use_layer_norm: bool = True
    """Whether trunks normalise before each activation."""
    standardises_inputs: bool = False
    """Whether observations are shifted and scaled to mean 0 and deviation 1, by what the first batches hold: metres and
    newtons in one vector differ by orders of magnitude. For observations that are vectors."""
    std_parameterization: str = "exp"
    """How the policy makes its standard deviation: exp, softplus or uniform."""
    std_min: float = 1e-5
    """Lower bound of the policy's standard deviation before squashing."""
    std_max: float = 5.0
    """Upper bound of the policy's standard deviation before squashing."""
    temperature_init: float = 1e-2
    """First value of the entropy's weight."""
    target_entropy: float | None = None
    """Entropy in nats that the temperature steers to; `None` takes -A / 2."""
    backup_entropy: bool = False
    """Whether the target holds the entropy of the next action."""
    discount_entropy_backup: bool = True
    """Whether that entropy is discounted and masked as in Haarnoja et al. 2018, eq. 3; SERL does neither."""
    average_policy: bool = False
    """Whether the policy without noise is the Polyak average of the trained one: steadier from one update to the next.
    SERL keeps this average among its targets and never uses it."""
    actor_starts_after: int = 0
    """Steps of the critics before which policy and temperature are not trained: critics that have hardly learned would
    drive a policy that is good from the start, such as a correction of 0, anywhere."""
    mode_penalty: float = 0.0
    """Weight, in units of the return, of the squared mode of the policy in its loss, summed over the numbers of an
    action: it keeps a correction small wherever the critics see no more than that in another one."""
    proposal: ProposalConfig = field(default_factory=ProposalConfig)
    """A policy cloned from the demonstrations beside the trained one; off by default. For observations that are
    vectors."""
    actor_optimizer: OptimizerConfig = _WARMED_UP
    """Optimizer of the policy; the warm-up counts its own steps."""
    critic_optimizer: OptimizerConfig = _WARMED_UP
    """Optimizer of the critics."""
    temperature_optimizer: OptimizerConfig = _STEADY
    """Optimizer of the temperature."""
    selective_optimizer_steps: bool = True
    """Whether optimizers of networks that are not updated rest; `False` steps all on every call, as SERL does."""
    joint_last_step: bool = False
    """Whether `update_high_utd(batch, n)` is HIL-SERL's schedule with `cta_ratio = n`: n - 1 slices train the critics,
    the last one trains every network at once. Otherwise it is SERL's: all slices train the critics, then the whole
    batch trains the rest."""
    microbatch_size: int | None = 256
    """Rows in one pass of the losses: gradients of larger batches are accumulated, which changes rounding alone. On a
    CPU the layers' outputs then stay in the cache. `None` takes every batch in one pass."""
    precision: Precision = "float32"
    """Matrix products of the losses; parameters, moments and targets stay float32. float16 scales the losses."""

    def __post_init__(self) -> None:
        """Refuse what cannot train."""
        check_field_types(self)
        subset = self.critic_subsample_size
        if self.critic_ensemble_size < 1:
            raise ConfigError(f"critic_ensemble_size is {self.critic_ensemble_size}: at least 1 critic is needed")
        if subset is not None and not 1 <= subset <= self.critic_ensemble_size:
            raise ConfigError(
                f"critic_subsample_size is {subset}: allowed are 1 to {self.critic_ensemble_size} and None"
            )
        if self.microbatch_size is not None and self.microbatch_size < 1:
            raise ConfigError(f"microbatch_size is {self.microbatch_size}: allowed are 1 and more, and None")
        if not 0 <= self.discount <= 1 or not 0 < self.soft_target_update_rate <= 1:
            raise ConfigError(
                f"discount must lie in [0, 1] and soft_target_update_rate in (0, 1], not {self.discount} and "
                f"{self.soft_target_update_rate}"
            )
        if not math.isfinite(self.reward_bias):
            raise ConfigError(f"reward_bias must be a finite number, not {self.reward_bias}")
        if self.actor_starts_after < 0 or not 0.0 <= self.mode_penalty < math.inf:
            raise ConfigError(
                f"actor_starts_after and mode_penalty must be at least 0 and finite, not {self.actor_starts_after} and "
                f"{self.mode_penalty}"
            )
        if any(width < 1 for width in self.hidden_dims):
            raise ConfigError(f"hidden_dims are widths of layers, each at least 1, not {self.hidden_dims}")
        if not 0 < self.std_min <= self.std_max < math.inf:
            raise ConfigError(
                f"std_min must be above 0 and at most std_max, which is finite, not {self.std_min} and {self.std_max}"
            )
        if not 0 < self.temperature_init < math.inf:
            raise ConfigError(f"temperature_init must be above 0 and finite, not {self.temperature_init}")

    def optimizers(self) -> dict[str, OptimizerConfig]:
        """The optimizer of each network."""
        return {
            "actor": self.actor_optimizer,
            "critic": self.critic_optimizer,
            "temperature": self.temperature_optimizer,
        }

    def correcting_a_clone(self) -> Self:
        """Return these settings with the ones that keep the success of a clone while the critics learn.

        They are those of `demo-residual-steady` in docs/learning_benchmark.md, which were not tried one by one. The
        penalty is in units of the return: rewards of another size need another one.
        """
        return replace(self, standardises_inputs=True, actor_starts_after=1000, mode_penalty=3.0)

    def as_in_serl(self) -> Self:
        """Return these settings with the three differences from SERL removed (docs/serl_differences.md)."""
        return replace(
            self,
            subsample_with_replacement=True,
            discount_entropy_backup=False,
            selective_optimizer_steps=False,
        )
