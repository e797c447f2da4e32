"""DrQ: soft actor-critic from pixels with random shifts. Original: agents/continuous/drq.py."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any, ClassVar, Self, cast

import numpy as np
import torch
from torch import Generator, Tensor, nn

from rl.agents.continuous.augmentation import Crops, crop, draw_corners, stack_maps, unpack
from rl.agents.continuous.drq_config import DrqConfig
from rl.agents.continuous.sac import Gradients, LossFunction, SACAgent, batch_rows, mean_metrics
from rl.agents.continuous.sac_config import SacConfig
from rl.agents.continuous.sac_losses import Masks, SacNoise, actor_loss
from rl.agents.continuous.sac_policy import SacPolicy, as_tensors, make_input_layer, make_policy_module
from rl.common.common import parameters_of
from rl.common.encoders import frozen_trunk, load_trunk, make_encoder
from rl.common.encoding import EncodingWrapper, Observation
from rl.common.typing import Batch, Metrics, NetworkNames, Observations
from rl.errors import ConfigError
from rl.networks.actor_critic_nets import Critic, Policy
from rl.networks.lagrange import GeqLagrangeMultiplier
from rl.networks.mlp import MLP
from rl.nn.layers import init_parameters
from rl.utils.option_words import option
from rl.vision.pooling import EMBEDDING_DROPOUT
from rl.vision.sampling import draw_kept

__all__ = ["Crops", "DrQAgent", "DrqConfig", "make_drq_policy"]

DEFAULTS = DrqConfig()
STATE = "state"


def make_agent_encoder(config: DrqConfig, sample: Any) -> EncodingWrapper:
    """The encoder of `config` for observations like this sample, still without parameters."""
    encoder = make_encoder(config.encoder)
    if encoder.proprio is not None:
        encoder.state_layer = make_input_layer(math.prod(sample[STATE].shape[-2:]), config)
    return encoder


def make_drq_modules(encoder: EncodingWrapper, action_dim: int, config: DrqConfig) -> nn.ModuleDict:
    """Policy, critics and temperature around one encoder, still without parameters.

    The critics are an ensemble of trunks; the layer that makes a value of a trunk's features is one for all of them.
    """
    trunk = MLP(config.hidden_dims, config.activations, activate_final=True, use_layer_norm=config.use_layer_norm)
    return nn.ModuleDict(
        {
            "actor": make_policy_module(action_dim, config, encoder),
            "critic": Critic(encoder, trunk.as_ensemble(config.critic_ensemble_size)),
            "temperature": GeqLagrangeMultiplier(config.temperature_init),
        }
    )


def shared_coverage(modules: nn.ModuleDict) -> dict[str, list[nn.Parameter]]:
    """The parameters of each optimizer of DrQ: the critic's has also the encoder, the actor's the encoder's state part.

    The policy lets no gradient into the image encoders, but one into the layers that encode the state; both losses
    train those, each through its own optimizer.
    """
    images = {id(p) for p in cast(EncodingWrapper, modules["critic"].encoder).encoder.parameters()}
    return {
        "actor": [p for p in parameters_of(modules["actor"]) if id(p) not in images],
        "critic": parameters_of(modules["critic"]),
        "temperature": parameters_of(modules["temperature"]),
    }


def pixel_actor_loss(
    modules: nn.ModuleDict, targets: nn.ModuleDict, batch: Batch, noise: SacNoise, config: SacConfig
) -> tuple[Tensor, Metrics]:
    """The actor's loss at feature maps that it takes as constants."""
    observations = {key: value.detach() for key, value in batch["observations"].items()}
    return actor_loss(modules, targets, {**batch, "observations": observations}, noise, config)


class DrQAgent(SACAgent):
    """SAC on encoded images. `update_critics` and `update_high_utd` augment; `update` takes batches as they are.

    A feature map that several losses need is computed once, and those of a frozen trunk once for a whole batch.
    Batches may hold maps of a frozen trunk instead of images, as `EncodingWrapper.encode_maps` makes them or with their
    frames still apart, as `cached_features` keeps them; those are not augmented.

    Args:
        modules: as for `SACAgent`; policy and critic hold one and the same `EncodingWrapper`.
        config: settings.
        action_dim: length A of an action.
        seed: see `SACAgent`; crops are drawn from the same stream as the other noise of updates.
        device: where the networks live.
    """

    losses: ClassVar[Mapping[str, LossFunction]] = {**SACAgent.losses, "actor": pixel_actor_loss}
    config: DrqConfig

    def __init__(
        self, modules: nn.ModuleDict, config: DrqConfig, *, action_dim: int, seed: int, device: torch.device
    ) -> None:
        super().__init__(
            modules, config, action_dim=action_dim, seed=seed, device=device, parameters=self._coverage(modules)
        )
        self.encoder = cast(EncodingWrapper, modules["critic"].encoder)
        self.image_keys = self.encoder.image_keys

    def _coverage(self, modules: nn.ModuleDict) -> dict[str, list[nn.Parameter]]:
        return shared_coverage(modules)

    @classmethod
    def create_drq(
        cls,
        observations: Observations,
        action_dim: int,
        config: DrqConfig = DEFAULTS,
        *,
        seed: int = 0,
        device: str | torch.device = "cpu",
    ) -> Self:
        """An agent for observations like this one and actions (A,) in [-1, 1].

        The initial parameters depend on the seed alone, not on the device.

        Args:
            observations: `state` (T, D) and the cameras' images (T, height, width, channels), or a batch of them.
            action_dim: A.
            config: settings.
            seed: of the initial parameters, the noise of updates, and exploration.
            device: where the networks will live.
        """
        sample: Any = as_tensors(observations, torch.device("cpu"))
        encoder = make_agent_encoder(config, sample)
        modules = cls._pixel_modules(encoder, sample, action_dim, config)
        init_parameters(modules, Generator().manual_seed(seed))
        load_trunk(frozen_trunk(encoder), config.encoder)
        return cls(modules.to(device), config, action_dim=action_dim, seed=seed, device=torch.device(device))

    @classmethod
    def _pixel_modules(cls, encoder: EncodingWrapper, sample: Any, action_dim: int, config: DrqConfig) -> nn.ModuleDict:
        modules = make_drq_modules(encoder, action_dim, config)
        shape_pixel_modules(modules, sample, action_dim)
        return modules

    def fit_inputs(self, observations: Any) -> None:
        """Take the statistics of the state in observations (N, T, D) for `standardises_inputs`."""
        if STATE in observations:
            state = np.asarray(observations[STATE])
            super().fit_inputs(state.reshape(len(state), -1))

    def draw_crops(self, batch: Batch) -> Crops:
        """Draw the crops of an unpacked batch."""
        serl, padding = self.config.crops_as_in_serl, self.config.crop_padding

        def draw(observations: Mapping[str, Tensor]) -> dict[str, Tensor]:
            images = {key: observations[key] for key in self.image_keys if key in observations}
            return draw_corners(images, padding, self.generator, as_in_serl=serl)

        return Crops(draw(batch["observations"]), draw(batch["next_observations"]))

    def augment(self, batch: Batch, crops: Crops | None = None) -> Batch:
        """The batch unpacked and with its images cropped, `observations` and `next_observations` each by own draws."""
        batch = self._unpacked(batch)
        padding = self.config.crop_padding
        if not padding:
            return batch
        crops = crops or self.draw_crops(batch)
        return {
            **batch,
            "observations": crop(batch["observations"], crops.observations, padding),
            "next_observations": crop(batch["next_observations"], crops.next_observations, padding),
        }

    def update(
        self, batch: Batch, networks_to_update: NetworkNames | None = None, noise: SacNoise | None = None
    ) -> Metrics:
        """Update as `SACAgent.update` does, without augmentation."""
        return super().update(self._unpacked(batch), networks_to_update, noise)

    def update_critics(self, batch: Batch, noise: SacNoise | None = None, crops: Crops | None = None) -> Metrics:
        """Augment, then one step of the critics.

        Args:
            batch: see `SACAgent.update`; images may be packed, (B, T + 1, ...) under `observations` alone.
            noise: see `SACAgent.update`.
            crops: every crop; drawn when not given.
        """
        return self.update(self._prepared(batch, crops), self.critics, noise)

    def update_high_utd(
        self, batch: Batch, utd_ratio: int, noise: SacNoise | None = None, crops: Crops | None = None
    ) -> Metrics:
        """Augment, then `SACAgent.update_high_utd`; see `update_critics`."""
        return super().update_high_utd(self._prepared(batch, crops), utd_ratio, noise)

    def _high_utd(self, batch: Batch, utd_ratio: int, noise: SacNoise) -> Metrics:
        if self.config.joint_last_step or not self.config.actor_on_last_slice:
            return super()._high_utd(batch, utd_ratio, noise)
        size = len(batch["rewards"])
        start = size - size // utd_ratio
        critic = mean_metrics(self._critic_steps(batch, utd_ratio, noise, range(utd_ratio)))
        rest = self.losses.keys() - self.critics
        return critic | self.update(batch_rows(batch, start, size), rest, noise.rows(start, size))

    def _unpacked(self, batch: Batch) -> Batch:
        return stack_maps(unpack(batch, self.image_keys), self.image_keys)

    def _prepared(self, batch: Batch, crops: Crops | None) -> Batch:
        batch = self.augment(batch, crops)
        if frozen_trunk(self.encoder) is None:
            return batch
        moments = {when: self.frozen_maps(batch[when]) for when in ("observations", "next_observations")}
        return {**batch, **{when: self.encoder.arrange_maps(maps) for when, maps in moments.items()}}

    @torch.no_grad()
    def frozen_maps(self, observations: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Observations with a batch axis and the feature maps of the frozen trunk, as `EncodingWrapper.encode_maps`."""
        if not any(key in observations for key in self.image_keys):
            return observations
        size = len(next(iter(observations.values())))
        rows = self.config.microbatch_size or size
        with self._autocast():
            parts = [
                self.encoder.encode_maps(batch_rows(observations, start, min(start + rows, size)))
                for start in range(0, size, rows)
            ]
        return {key: torch.cat([part[key] for part in parts]) for key in parts[0]}

    def _gradients(self, batch: Batch, noise: SacNoise, names: tuple[str, ...]) -> tuple[Gradients, Metrics]:
        with self._autocast():
            encoded = self._encoded(batch, names)
        return super()._gradients(encoded, noise, names)

    def _encoded(self, batch: Batch, names: tuple[str, ...]) -> Batch:
        """The batch with the feature maps that these losses need; gradients flow through those of critics alone."""
        trains_critic = not self.critics.isdisjoint(names)
        then = batch["next_observations"]
        with torch.set_grad_enabled(trains_critic):
            found = {"observations": _arranged_maps(self.encoder, batch["observations"])}
        with torch.no_grad():
            if trains_critic or "temperature" in names:
                found["next_observations"] = _arranged_maps(self.encoder, then)
            if trains_critic:
                slow = then if frozen_trunk(self.encoder) is None else found["next_observations"]
                found["target_next_observations"] = self._slow_encoder.encode_maps(slow)
        return {**batch, **found}

    @property
    def _slow_encoder(self) -> EncodingWrapper:
        return cast(EncodingWrapper, self.state.targets["critic"].encoder)

    def _draw_masks(self, *rows: int) -> Masks:
        return tuple(
            draw_kept((*rows, width), EMBEDDING_DROPOUT, self.generator, self.device)
            for width in self.encoder.dropout_widths()
        )


def _arranged_maps(encoder: EncodingWrapper, observations: Observation) -> dict[str, Tensor]:
    return encoder.arrange_maps(encoder.encode_maps(observations))


def shape_pixel_modules(modules: nn.ModuleDict, sample: Any, action_dim: int) -> None:
    """Give policy and critics parameters that fit observations like this sample, tensors on the CPU.

    Raises:
        ConfigError: the encoder cannot take such images.
    """
    try:
        with torch.no_grad():
            loc = cast(Policy, modules["actor"])(sample).loc
            modules["critic"](sample, loc.new_zeros(*loc.shape[:-1], action_dim))
    except RuntimeError as error:
        shapes = ", ".join(f"{key} {tuple(value.shape)}" for key, value in sample.items())
        raise ConfigError(
            f"the encoder cannot take observations of these shapes: {shapes}; {error}. Choose larger images "
            f"({option('images.size')}) or another encoder"
        ) from error


def make_drq_policy(observations: Observations, action_dim: int, config: DrqConfig, seed: int = 0) -> SacPolicy:
    """A policy of its own for an actor process, on the CPU."""
    generator = Generator().manual_seed(seed)
    sample: Any = as_tensors(observations, torch.device("cpu"))
    encoder = make_agent_encoder(config, sample)
    module = make_policy_module(action_dim, config, encoder)
    with torch.no_grad():
        module(sample)
    init_parameters(module, generator)
    load_trunk(frozen_trunk(encoder), config.encoder)
    return SacPolicy(module, generator, copy.deepcopy(module) if config.average_policy else None)
