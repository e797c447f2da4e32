"""The acting part of an agent, for the actor process: a policy and its generator, with numpy inputs and outputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor, nn

from rl.agents.continuous.sac_config import SacConfig
from rl.common.encoders import FROM_FILE
from rl.common.typing import Arrays, Observations
from rl.errors import CheckpointError
from rl.networks.actor_critic_nets import Policy
from rl.networks.distributions import ActionDistribution
from rl.networks.mlp import MLP
from rl.networks.standardise import Standardise

_FAR = 10.0
"""Standard deviations beyond which a standardised observation is cut off."""


def make_input_layer(observation_dim: int, config: SacConfig) -> Standardise | None:
    """Make the first layer of policies and critics for observations that are vectors; None where there is none."""
    return Standardise(observation_dim, _FAR) if config.standardises_inputs else None


def make_policy_module(action_dim: int, config: SacConfig, encoder: nn.Module | None = None) -> Policy:
    """The tanh-squashed Gaussian policy of `config`, still without parameters."""
    trunk = MLP(config.hidden_dims, config.activations, activate_final=True, use_layer_norm=config.use_layer_norm)
    return Policy(
        encoder,
        trunk,
        action_dim,
        std_parameterization=config.std_parameterization,
        std_min=config.std_min,
        std_max=config.std_max,
        tanh_squash_distribution=True,
    )


def as_tensors(observations: Observations, device: torch.device) -> Tensor | dict[str, Tensor]:
    """Observations on `device`: images stay uint8, everything else becomes float32."""
    if isinstance(observations, Mapping):
        return {key: _as_tensor(value, device) for key, value in observations.items()}
    return _as_tensor(observations, device)


def _as_tensor(value: np.ndarray, device: torch.device) -> Tensor:
    array = np.asarray(value)
    dtype = np.uint8 if array.dtype == np.uint8 else np.float32
    return torch.from_numpy(np.require(array, dtype, ("C", "W"))).to(device)


class SacPolicy:
    """Chooses actions.

    Args:
        module: a policy with parameters; shared with the agent when the agent made this object.
        generator: the source of exploration noise, on the CPU.
        averaged: the Polyak average of `module`, which then chooses the actions without noise.
    """

    def __init__(self, module: nn.Module, generator: Generator, averaged: nn.Module | None = None) -> None:
        self.module = module
        self.generator = generator
        self.averaged = averaged

    @torch.inference_mode()
    def sample_actions(
        self, observations: Observations, *, argmax: bool = False, temperature: float = 1.0
    ) -> np.ndarray:
        """Actions as float32, in (-1, 1) where the policy squashes: (A,) for one observation, (N, A) for a batch.

        Args:
            observations: one observation or a batch.
            argmax: take the mode instead of a draw.
            temperature: scales the variance of a draw.
        """
        module = self.averaged if argmax and self.averaged is not None else self.module
        device = next(module.parameters()).device
        return self._choose(module, as_tensors(observations, device), argmax, temperature).cpu().numpy()

    def _choose(self, module: nn.Module, observations: Any, argmax: bool, temperature: float) -> Tensor:
        return self._draw(module(observations, temperature), argmax)

    def _draw(self, distribution: ActionDistribution, argmax: bool) -> Tensor:
        if argmax:
            return distribution.mode()
        eps = torch.randn(distribution.loc.shape, generator=self.generator)
        return distribution.sample(eps.to(distribution.loc.device))

    def policy_state_dict(self) -> dict[str, np.ndarray]:
        """The policy's parameters as float32 arrays: what an actor needs. The arrays are copies.

        A frozen trunk that was read from a file is left out: the actor has read the same file.
        """
        return {name: value.numpy(force=True).copy() for name, value in self._tensors().items()}

    @torch.no_grad()
    def load_policy_state_dict(self, state: Arrays) -> None:
        """Take parameters over from `policy_state_dict`.

        Raises:
            CheckpointError: a name or a shape does not fit; nothing was changed.
        """
        own = self._tensors()
        expected = {name: tuple(value.shape) for name, value in own.items()}
        given = {name: np.shape(value) for name, value in state.items()}
        if expected != given:
            wrong = sorted(set(expected.items()) ^ set(given.items()))
            raise CheckpointError(f"these weights belong to another policy; first difference: {wrong[0]}")
        for name, value in own.items():
            value.copy_(torch.from_numpy(np.array(state[name])))

    def _tensors(self) -> dict[str, torch.Tensor]:
        averaged = {} if self.averaged is None else tensors_once(self.averaged, "averaged.")
        return {**tensors_once(self.module), **averaged}


def tensors_once(module: nn.Module, prefix: str = "") -> dict[str, Tensor]:
    """The state of a module; what its parts share appears under its first name alone, what is in a file not at all."""
    state: dict[str, Tensor] = module.state_dict(prefix=prefix, keep_vars=True)
    from_file = {id(p) for part in module.modules() if getattr(part, FROM_FILE, False) for p in part.parameters()}
    first = {id(value): name for name, value in reversed(state.items()) if id(value) not in from_file}
    return {name: value.detach() for name, value in state.items() if first.get(id(value)) == name}
