"""The settings of the hybrid agents, with the defaults of HIL-SERL's launcher."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Self

from rl.agents.continuous.drq_config import DrqConfig
from rl.common.optimizer_config import OptimizerConfig
from rl.errors import ConfigError

if TYPE_CHECKING:
    from rl.agents.continuous.sac_hybrid_grippers import GripperLayout

_STEADY = OptimizerConfig(3e-4)


@dataclass(frozen=True)
class HybridConfig(DrqConfig):
    """Soft actor-critic over the arms' motion, and a deep Q-network over what their grippers do.

    Luo et al. 2024 (HIL-SERL, arXiv:2410.21845). `encoder`, `crop_padding` and `crops_as_in_serl` matter for agents
    that see images.

    Raises:
        ConfigError: a value is outside its range.
    """

    arms: ClassVar[int]
    """Grippers that are chosen jointly, each the last number of its arm's part of the action."""

    critic_ensemble_size: int = 2
    """Critics held as one stacked set of parameters."""
    critic_subsample_size: int | None = None
    """Target critics whose minimum is the target; `None` takes all."""
    discount: float = 0.97
    """Discount per environment step."""
    grasp_critic_optimizer: OptimizerConfig = _STEADY
    """Optimizer of the grasp critic and, with images, of all encoders."""
    grasp_hidden_dims: tuple[int, ...] = (256, 256)
    """Widths of the grasp critic's trunk; activation and normalisation are those of the other trunks."""
    grasp_activates_final: bool = True
    """Whether the last layer of that trunk is normalised and activated, as those of the other trunks are. HIL-SERL's is
    not, so that two linear layers follow each other."""
    target_entropy_counts_grippers: bool = False
    """Whether a `target_entropy` of `None` is -A / 2 of the whole action, as in HIL-SERL. Otherwise only the numbers
    count that the policy draws."""
    grasp_exploration: float = 0.0
    """Probability that an exploring policy draws the grippers' moves evenly instead of taking the best. HIL-SERL never
    does, and leaves the discovery of a grasp to the human."""
    critic_sees_gripper: bool = False
    """Whether the critics of the motion see what the grippers do: what was done where they learn, and what the grasp
    critic would do where the policy acts. HIL-SERL's do not."""
    joint_last_step: bool = True
    """Whether `update_high_utd(batch, n)` trains every network at once on its last slice; see `SacConfig`."""

    def __post_init__(self) -> None:
        """Refuse what cannot train."""
        super().__post_init__()
        if not 0 <= self.grasp_exploration <= 1:
            raise ConfigError(f"grasp_exploration is {self.grasp_exploration}: a probability lies in [0, 1]")

    def layout(self, action_dim: int) -> GripperLayout:
        """The positions of the grippers in actions of this length."""
        from rl.agents.continuous.sac_hybrid_grippers import GripperLayout

        return GripperLayout(action_dim, self.arms)

    def critic_action_dim(self, action_dim: int) -> int:
        """Numbers of an action of this length that the critics of the motion see."""
        return action_dim if self.critic_sees_gripper else self.layout(action_dim).continuous_dim

    def as_in_serl(self) -> Self:
        """Return these settings with the differences from HIL-SERL removed (docs/serl_differences.md)."""
        return replace(super().as_in_serl(), grasp_activates_final=False, target_entropy_counts_grippers=True)

    def optimizers(self) -> dict[str, OptimizerConfig]:
        """The optimizer of each network."""
        return {**super().optimizers(), "grasp_critic": self.grasp_critic_optimizer}


@dataclass(frozen=True)
class SingleArmConfig(HybridConfig):
    """Settings for actions (x, y, z, ..., gripper): the grasp critic weighs 3 moves."""

    arms: ClassVar[int] = 1


@dataclass(frozen=True)
class DualArmConfig(HybridConfig):
    """Settings for actions (x, y, ..., gripper, x', y', ..., gripper'): the grasp critic weighs 9 joint moves."""

    arms: ClassVar[int] = 2
