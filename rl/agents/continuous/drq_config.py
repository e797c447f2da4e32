"""The settings of DrQ, with the defaults of SERL's launcher."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal, Self

from rl.agents.continuous.sac_config import SacConfig
from rl.common.encoder_config import FROZEN_TYPES, EncoderConfig
from rl.common.optimizer_config import OptimizerConfig
from rl.errors import ConfigError

_STEADY = OptimizerConfig(3e-4)


@dataclass(frozen=True)
class DrqConfig(SacConfig):
    """Soft actor-critic from pixels with random shifts. Kostrikov et al. 2021 (DrQ) with RLPD's ensemble.

    With `crop_padding=0` it is SERL's `SACAgent.create_pixels`: the same networks without augmentation.
    """

    discount: float = 0.96
    """Discount per environment step."""
    actor_optimizer: OptimizerConfig = _STEADY
    """Optimizer of the policy and of the encoder of the state; without warm-up."""
    critic_optimizer: OptimizerConfig = _STEADY
    """Optimizer of the critics and of all encoders."""
    microbatch_size: int | None = 64
    """Rows in one pass of the losses, see `SacConfig`; it bounds the memory for the encoders' outputs."""
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    """The encoder that policy and critics share."""
    cached_features: Literal["no", "float16", "float32"] = "no"
    """Whether a replay buffer keeps the frozen encoder's feature maps, computed once when a transition comes, instead
    of images: updates then skip the trunk, and images are shifted as `cached_shifts` says. Needs a frozen encoder."""
    cached_shifts: int = 1
    """Feature maps that are kept of each frame: the first of the image as it is, each other one of the image shifted
    once at random by up to `crop_padding` pixels. A sample takes one of them for each camera; with 1 nothing is
    augmented. Memory grows with it."""
    crop_padding: int = 4
    """Largest shift of an image in pixels; 0 leaves images as they are."""
    crops_as_in_serl: bool = False
    """Whether all cameras get the same shifts, and the frames of a stack different ones, as in SERL. Otherwise
    each camera has its own, and a stack keeps the motion between its frames."""

    actor_on_last_slice: bool = False
    """Whether `update_high_utd` trains policy and temperature on its last slice alone, as the loop of SERL's
    `async_drq_sim` does, instead of on the whole batch: with a ratio of 4, a quarter of that work."""

    def __post_init__(self) -> None:
        """Refuse what cannot train."""
        super().__post_init__()
        if self.proposal.is_on:
            raise ConfigError(
                "proposal.acts and proposal.bootstraps are for agents that observe vectors (`sac`); a proposal policy "
                "that observes images is not there yet: leave both off"
            )
        if self.cached_features != "no" and not self.encoder.is_frozen:
            raise ConfigError(
                f"cached_features={self.cached_features} needs the encoder {' or '.join(FROZEN_TYPES)}, whose features "
                f"never change; those of {self.encoder.encoder_type} are trained"
            )
        if self.cached_shifts < 1:
            raise ConfigError(f"cached_shifts is {self.cached_shifts}: allowed are 1, the image as it is, and more")
        if self.cached_shifts > 1 and (self.cached_features == "no" or not self.crop_padding):
            raise ConfigError(
                f"cached_shifts={self.cached_shifts} keeps feature maps of shifted images: choose "
                "cached_features=float16 and a crop_padding above 0, or leave cached_shifts at 1"
            )
        if self.crop_padding < 0:
            raise ConfigError(f"crop_padding is {self.crop_padding}: allowed are 0 and more")

    def as_in_serl(self) -> Self:
        """Return these settings with the four differences from SERL removed (docs/serl_differences.md)."""
        return replace(super().as_in_serl(), crops_as_in_serl=True)
