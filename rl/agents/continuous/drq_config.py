"""The settings of DrQ, with the defaults of SERL's launcher."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Self

from rl.agents.continuous.sac_config import SacConfig
from rl.common.encoders import EncoderConfig
from rl.common.optimizers import OptimizerConfig

_STEADY = OptimizerConfig(3e-4)


@dataclass(frozen=True)
class DrqConfig(SacConfig):
    """Soft actor-critic from pixels with random shifts. Kostrikov et al. 2021 (DrQ) with RLPD's ensemble.

    With `crop_padding=0` it is SERL's `SACAgent.create_pixels`: the same networks without augmentation.
    """

    discount: float = 0.96
    """Per environment step."""
    actor_optimizer: OptimizerConfig = _STEADY
    """Optimizer of the policy and of the encoder of the state; without warm-up."""
    critic_optimizer: OptimizerConfig = _STEADY
    """Optimizer of the critics and of all encoders."""
    microbatch_size: int | None = 64
    """Rows in one pass of the losses, see `SacConfig`; it bounds the memory for the encoders' outputs."""
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    """The encoder that policy and critics share."""
    crop_padding: int = 4
    """Largest shift of an image in pixels; 0 leaves images as they are."""
    crops_as_in_serl: bool = False
    """Whether all cameras get the same shifts, and the frames of a stack different ones, as in SERL (S9). Otherwise
    each camera has its own, and a stack keeps the motion between its frames."""

    def as_in_serl(self) -> Self:
        """The same settings with the departures from SERL undone: S4, S5, S6 and S9."""
        return replace(super().as_in_serl(), crops_as_in_serl=True)
