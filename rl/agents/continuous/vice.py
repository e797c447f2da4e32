"""VICE: DrQ on the reward of a success classifier, trained against the agent. Original: agents/continuous/vice.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Self, cast

import torch
from torch import Generator, Tensor, nn

from rl.agents.continuous.augmentation import Crops, crop, draw_corners, unpack
from rl.agents.continuous.drq import (
    DrQAgent,
    make_agent_encoder,
    make_drq_modules,
    shape_pixel_modules,
    shared_coverage,
)
from rl.agents.continuous.sac import batch_rows
from rl.agents.continuous.sac_losses import Masks, SacNoise
from rl.agents.continuous.sac_policy import as_tensors
from rl.agents.continuous.vice_config import ViceConfig
from rl.agents.continuous.vice_loss import ViceNoise, vice_loss
from rl.common.common import parameters_of
from rl.common.encoders import frozen_trunk, load_trunk, pretrained_heads
from rl.common.encoding import EncodingWrapper
from rl.common.typing import Batch, Metrics, Observations
from rl.errors import DataError
from rl.networks.classifier import BinaryClassifier
from rl.networks.mlp import MLP
from rl.nn.layers import init_parameters
from rl.vision.pooling import EMBEDDING_DROPOUT
from rl.vision.resnet_v1 import resnetv1_configs

__all__ = ["VICEAgent", "ViceConfig", "ViceNoise"]

DEFAULTS = ViceConfig()

SUCCESSES = "successes"
"""Name, in a batch for `VICEAgent.update_high_utd`, of the batch that its classifier learns from first."""


def make_classifier(trunk: nn.Module, config: ViceConfig) -> BinaryClassifier:
    """VICE's classifier with heads of its own on a frozen trunk, still without parameters."""
    heads = replace(config.encoder, image_keys=config.classifier_cameras, bottleneck_dim=config.vice_bottleneck_dim)
    network = MLP(
        config.vice_hidden_dims,
        config.vice_activations,
        activate_final=True,
        use_layer_norm=config.vice_use_layer_norm,
        dropout_rate=config.vice_dropout_rate,
    )
    encoder = EncodingWrapper(
        pretrained_heads(heads, trunk), use_proprio=False, enable_stacking=True, image_keys=config.classifier_cameras
    )
    return BinaryClassifier(trunk, encoder, network, enable_stacking=True)


class VICEAgent(DrQAgent):
    """DrQ whose rewards come from its own classifier: those in the batches are not looked at.

    Between `update_critics` or `update_high_utd`, call `update_vice` with batches that hold states of success; or give
    `update_high_utd` such a batch along, as `SUCCESSES`.
    """

    config: ViceConfig

    def _coverage(self, modules: nn.ModuleDict) -> dict[str, list[nn.Parameter]]:
        return {**shared_coverage(modules), "vice": parameters_of(modules["vice"])}

    @classmethod
    def create_vice(
        cls,
        observations: Observations,
        action_dim: int,
        config: ViceConfig = DEFAULTS,
        *,
        seed: int = 0,
        device: str | torch.device = "cpu",
    ) -> Self:
        """Make an agent as `DrQAgent.create_drq` does, with a classifier."""
        sample: Any = as_tensors(observations, torch.device("cpu"))
        encoder = make_agent_encoder(config, sample)
        trunk = frozen_trunk(encoder) or resnetv1_configs["resnetv1-10-frozen"]()
        modules = make_drq_modules(encoder, action_dim, config)
        modules["vice"] = make_classifier(trunk, config)
        shape_pixel_modules(modules, sample, action_dim)
        with torch.no_grad():
            modules["vice"](sample)
        init_parameters(modules, Generator().manual_seed(seed))
        load_trunk(trunk, config.encoder)
        return cls(modules.to(device), config, action_dim=action_dim, seed=seed, device=torch.device(device))

    @property
    def classifier(self) -> BinaryClassifier:
        """The success classifier."""
        return cast(BinaryClassifier, self.state.modules["vice"])

    @torch.no_grad()
    def vice_reward(self, observations: Mapping[str, Tensor]) -> Tensor:
        """Probability of success (B,) of a batch of observations on the agent's device."""
        size = len(next(iter(observations.values())))
        rows = self.config.microbatch_size or size
        logits = [
            self.classifier(batch_rows(observations, start, start + rows)).reshape(-1) for start in range(0, size, rows)
        ]
        return torch.cat(logits).sigmoid()

    def draw_vice_noise(self, batch: Batch) -> ViceNoise:
        """Draw the noise of one `update_vice` on an unpacked batch."""
        images = {key: batch["next_observations"][key] for key in self.config.classifier_cameras}
        size = len(next(iter(images.values())))
        return ViceNoise(
            crops=draw_corners(
                images, self.config.crop_padding, self.generator, as_in_serl=self.config.crops_as_in_serl
            ),
            mixup=self._uniform(),
            permutation=torch.randperm(2 * size, generator=self.generator, device=self.device),
            interpolation=self._uniform(size),
            mixup_keep=self._classifier_masks(2 * size),
            penalty_keep=self._classifier_masks(),
        )

    def update_vice(self, batch: Batch, noise: ViceNoise | None = None) -> Metrics:
        """One step of the classifier.

        Args:
            batch: `next_observations` are what is classified, and all that is needed. The first half comes from the
                replay buffer and counts as failure, the second half shows success.
            noise: every random number of the step; drawn when not given.

        Returns:
            Scalar tensors `vice/bce_loss`, `vice/grad_norm`, and learning rates as of `update`.

        Raises:
            DataError: the batch has no two halves.
        """
        batch = unpack(batch, self.image_keys)
        size = len(batch["next_observations"][self.config.classifier_cameras[0]])
        if size < 2 or size % 2:
            raise DataError(f"a batch of {size} has no two halves of equal size: one replayed, one of successes")
        noise = noise or self.draw_vice_noise(batch)
        loss, metrics = vice_loss(self.classifier, self._labelled_maps(batch, noise), noise, self.config)
        grads = {"vice": self.state.gradients("vice", loss)}
        return {f"vice/{key}": value for key, value in metrics.items()} | self._apply(grads)

    def _labelled_maps(self, batch: Batch, noise: ViceNoise) -> dict[str, Tensor]:
        """Feature maps of successes as they are and cropped, then of the replayed, (2 B, ...) by camera."""
        plain = {key: batch["next_observations"][key] for key in self.config.classifier_cameras}
        cropped = crop(plain, noise.crops, self.config.crop_padding) if self.config.crop_padding else plain
        maps: dict[str, Tensor] = {}
        for key, images in plain.items():
            (replayed, success), (cropped_replayed, cropped_success) = images.chunk(2), cropped[key].chunk(2)
            ordered = torch.cat((success, cropped_success, replayed, cropped_replayed))
            rows = self.config.microbatch_size or len(ordered)
            maps[key] = torch.cat([self.classifier(part, return_encoded=True) for part in torch.split(ordered, rows)])
        return maps

    def update_high_utd(
        self, batch: Batch, utd_ratio: int, noise: SacNoise | None = None, crops: Crops | None = None
    ) -> Metrics:
        """Update as `DrQAgent.update_high_utd` does, after a step of the classifier if the batch holds goals for it.

        Returns:
            As `DrQAgent.update_high_utd`, with the mean reward as `vice_rewards`, and what `update_vice` returns.
        """
        learned = self.update_vice(batch[SUCCESSES]) if SUCCESSES in batch else {}
        prepared = self._prepared({name: field for name, field in batch.items() if name != SUCCESSES}, crops)
        metrics = super(DrQAgent, self).update_high_utd(prepared, utd_ratio, noise)
        return metrics | learned | {"vice_rewards": prepared["rewards"].mean()}

    def _prepared(self, batch: Batch, crops: Crops | None) -> Batch:
        prepared = super()._prepared(batch, crops)
        success = self.vice_reward(prepared["next_observations"]) >= self.config.reward_threshold
        return {**prepared, "rewards": success.float()}

    def _uniform(self, *shape: int) -> Tensor:
        return torch.rand(shape, generator=self.generator, device=self.device)

    def _classifier_masks(self, *rows: int) -> Masks:
        widths = self.config.vice_hidden_dims if self.config.vice_dropout_rate else ()
        embeddings = [self._uniform(*rows, width) >= EMBEDDING_DROPOUT for width in self._embedding_widths()]
        hidden = [self._uniform(*rows, width) >= self.config.vice_dropout_rate for width in widths]
        return (*embeddings, *hidden)

    def _embedding_widths(self) -> list[int]:
        return self.classifier.encoder.dropout_widths()
