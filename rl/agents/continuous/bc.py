"""Behaviour cloning: a Gaussian policy fitted to demonstrated actions. Original: agents/continuous/bc.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import torch
from torch import Generator, Tensor, nn

from rl.agents.continuous.augmentation import crop, draw_corners, unpack
from rl.agents.continuous.bc_config import BcConfig
from rl.agents.continuous.sac_policy import SacPolicy, as_tensors
from rl.common.encoders import frozen_trunk, load_trunk, make_encoder
from rl.common.encoding import EncodingWrapper
from rl.common.optimizer_config import OptimizerConfig
from rl.common.trained import Trained
from rl.common.typing import Batch, Metrics, Observations
from rl.networks.actor_critic_nets import Policy
from rl.networks.mlp import MLP
from rl.networks.standardise import Standardise
from rl.nn.dropout import KeepMasks
from rl.nn.layers import materialise
from rl.utils.distributed import ProcessGroup
from rl.vision.pooling import EMBEDDING_DROPOUT

Masks = tuple[Tensor, ...]


_STEADY = OptimizerConfig(3e-4)


DEFAULTS = BcConfig()


def make_bc_module(encoder: EncodingWrapper | Standardise | None, action_dim: int, config: BcConfig) -> Policy:
    """The policy of `config` around an encoder, or on plain vectors without one, still without parameters."""
    return Policy(
        encoder,
        MLP(config.hidden_dims, config.activations, activate_final=True, use_layer_norm=config.use_layer_norm),
        action_dim,
        std_parameterization=config.std_parameterization,
        std_min=config.std_min,
        std_max=config.std_max,
        tanh_squash_distribution=config.tanh_squash_distribution,
        stop_gradient=not config.trains_image_encoder,
    )


def _make_encoder(observations: Observations, config: BcConfig) -> EncodingWrapper | Standardise | None:
    if isinstance(observations, Mapping):
        return make_encoder(config.encoder)
    return Standardise(observations.shape[-1]) if config.standardises else None


class BCAgent:
    """A policy with its optimizer.

    Args:
        module: the policy, with parameters, on `device`.
        config: settings.
        seed: of crops and dropout, and of sampled actions; the two are separate streams.
        device: where the policy lives.
    """

    def __init__(self, module: Policy, config: BcConfig, *, seed: int, device: torch.device) -> None:
        self.config = config
        self.device = device
        self.modules = nn.ModuleDict({"actor": module})
        self.trained = Trained(module, config.optimizer, config.precision, device)
        self.generator = Generator(device).manual_seed(seed)
        self.policy = SacPolicy(module, Generator().manual_seed(seed + 1))
        self.encoder = module.encoder if isinstance(module.encoder, EncodingWrapper) else None
        self.image_keys = () if self.encoder is None else self.encoder.image_keys

    @classmethod
    def create(
        cls,
        observations: Observations,
        action_dim: int,
        config: BcConfig = DEFAULTS,
        *,
        seed: int = 0,
        device: str | torch.device = "cpu",
    ) -> Self:
        """An agent for observations like this one and actions (A,).

        Args:
            observations: `state` (T, D) and the cameras' images (T, height, width, channels), or plain vectors (D,), or
                a batch of either.
            action_dim: A.
            config: settings.
            seed: of the initial parameters and everything random later.
            device: where the policy will live.
        """
        encoder = _make_encoder(observations, config)
        sample = as_tensors(observations, torch.device("cpu"))
        generator = Generator().manual_seed(seed)
        module = materialise(make_bc_module(encoder, action_dim, config), sample, generator=generator)
        if isinstance(encoder, EncodingWrapper):
            load_trunk(frozen_trunk(encoder), config.encoder)
        return cls(module.to(device), config, seed=seed, device=torch.device(device))

    def update(self, batch: Batch) -> Metrics:
        """One step on a batch of `observations` and `actions`; with `next_observations`, images may be packed.

        Returns:
            Scalar tensors: `actor_loss`, the mean negative log-likelihood in nats; `mse` of the mode; `lr`.
        """
        observations = self._augmented(self._observations(batch))
        masks = self._draw_masks(len(batch["actions"]))
        with self.trained.autocast():
            distribution = self.modules["actor"](observations, train=KeepMasks(masks))
        loss = -distribution.log_prob(batch["actions"]).mean()
        error = (distribution.mode().detach() - batch["actions"]).square().sum(-1).mean()
        rate = self.trained.optimizer.learning_rate()
        self.trained.step(loss)
        return {"actor_loss": loss.detach(), "mse": error, "lr": rate}

    def fit_inputs(self, observations: Any) -> None:
        """Take the statistics of the demonstrations' observations, where the configuration asks for it."""
        encoder = self.modules["actor"].encoder
        if isinstance(encoder, Standardise):
            encoder.fit(torch.as_tensor(observations, device=self.device))

    def join(self, group: ProcessGroup) -> None:
        """Average gradients over a process group from now on; its main process broadcasts its state."""
        self.trained.join(group)

    def reseed(self, seed: int) -> None:
        """Start the stream of crops and dropout anew."""
        self.generator.manual_seed(seed)

    def _observations(self, batch: Batch) -> Any:
        return unpack(batch, self.image_keys)["observations"]

    def _augmented(self, observations: Any) -> Any:
        padding = self.config.crop_padding
        if not padding or not self.image_keys:
            return observations
        images = {key: observations[key] for key in self.image_keys}
        return crop(observations, draw_corners(images, padding, self.generator), padding)

    def _draw_masks(self, rows: int) -> Masks:
        widths = [] if self.encoder is None else self.encoder.dropout_widths()
        draws = [torch.rand(rows, width, generator=self.generator, device=self.device) for width in widths]
        return tuple(draw >= EMBEDDING_DROPOUT for draw in draws)

    @torch.no_grad()
    def get_debug_metrics(self, batch: Batch) -> Metrics:
        """Metrics of each sample, without dropout: `mse` (B,), `log_probs` (B,) and the mode, `pi_actions` (B, A)."""
        distribution = self.modules["actor"](self._observations(batch))
        actions = distribution.mode()
        return {
            "mse": (actions - batch["actions"]).square().sum(-1),
            "log_probs": distribution.log_prob(batch["actions"]),
            "pi_actions": actions,
        }

    def sample_actions(
        self, observations: Observations, *, argmax: bool = False, temperature: float = 1.0
    ) -> np.ndarray:
        """Actions (A,) or (N, A); see `SacPolicy.sample_actions`."""
        return self.policy.sample_actions(observations, argmax=argmax, temperature=temperature)

    def state_dict(self) -> dict[str, Any]:
        """Return everything that an exact continuation needs, as tensors: loadable with `weights_only=True`."""
        return {
            "modules": self.modules.state_dict(),
            **self.trained.state_dict(),
            "update_generator": self.generator.get_state(),
            "policy_generator": self.policy.generator.get_state(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from `state_dict`, on the same kind of device bit for bit."""
        self.modules.load_state_dict(state["modules"])
        self.trained.load_state_dict(state)
        self.generator.set_state(state["update_generator"].cpu())
        self.policy.generator.set_state(state["policy_generator"].cpu())
