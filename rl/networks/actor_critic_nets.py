"""Policies and critics, alone and as ensembles. Original: networks/actor_critic_nets.py.

An encoder is any module that maps an observation to features (B, F). It is called as `encoder(observations)`, or with
the keywords `train` and `stop_gradient` when its attribute `accepts_stop_gradient` is true; `None` takes the
observation as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Protocol, Self, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn
from torch.func import functional_call

from rl.errors import ConfigError
from rl.networks.distributions import (
    ActionDistribution,
    MultivariateNormalDiag,
    TanhMultivariateNormalDiag,
)
from rl.nn.dropout import Train
from rl.nn.initializers import uniform, xavier_uniform
from rl.nn.layers import Dense, InferredModule


class Stackable(Protocol):
    """A network that can become an ensemble of itself."""

    def as_ensemble(self, size: int) -> Self:
        """Turn into `size` independent members, before there are parameters."""


StackableT = TypeVar("StackableT", bound=Stackable)

STD_PARAMETERIZATIONS = ("exp", "softplus", "uniform", "fixed")


def _head(features: int, init_final: float | None = None) -> Dense:
    return Dense(features, xavier_uniform if init_final is None else uniform(init_final))


def in_float32(head: nn.Module, features: Tensor) -> Tensor:
    """Apply `head` to features in float32, although the layers before it run in lower precision.

    The last layer's rounding is an error of the value itself: of a value of 20, bfloat16 keeps 0.06.
    """
    kind = features.device.type
    output: Tensor
    if torch.is_autocast_enabled(kind):
        with torch.autocast(kind, enabled=False):
            output = head(features.float())
    else:
        output = head(features)
    return output


def encode(
    encoder: nn.Module | None, observations: Any, *, train: Train = False, stop_gradient: bool = False
) -> Tensor:
    """Features of `observations`: themselves without an encoder."""
    features: Tensor
    if encoder is None:
        features = observations
    elif getattr(encoder, "accepts_stop_gradient", False):
        features = encoder(observations, train=train, stop_gradient=stop_gradient)
    else:
        features = encoder(observations)
        features = features.detach() if stop_gradient else features
    return features


class ValueCritic(nn.Module):
    """State value V(s), shape (B,)."""

    flax_names: ClassVar[Mapping[str, str]] = {"head": "Dense_0"}

    def __init__(self, encoder: nn.Module | None, network: nn.Module, init_final: float | None = None) -> None:
        super().__init__()
        self.encoder = encoder
        self.network = network
        self.head = _head(1, init_final)

    def forward(self, observations: Any, train: bool = False) -> Tensor:
        """Map (B, D) to (B,)."""
        values: Tensor = in_float32(self.head, self.network(encode(self.encoder, observations), train=train)).squeeze(
            -1
        )
        return values


class Critic(nn.Module):
    """Action value Q(s, a).

    Args:
        encoder: observation to features (B, F), or `None`.
        network: trunk over the joined features and action; an ensemble of E members gives (E, B, ...).
        init_final: bound of the head's uniform initialisation; Xavier when `None`.
    """

    flax_names: ClassVar[Mapping[str, str]] = {"head": "Dense_0"}

    def __init__(self, encoder: nn.Module | None, network: nn.Module, init_final: float | None = None) -> None:
        super().__init__()
        self.encoder = encoder
        self.network = network
        self.head = _head(1, init_final)

    def as_ensemble(self, size: int) -> Self:
        """Turn this critic into `size` independent ones, heads included."""
        if self.encoder is not None:
            raise ConfigError("a critic with an encoder cannot be stacked: ensemble its network alone, as DrQ does")
        self.network.as_ensemble(size)  # type: ignore[operator]
        self.head.as_ensemble(size, shared_input=False)
        return self

    def forward(self, observations: Any, actions: Tensor, train: bool = False) -> Tensor:
        """Values of actions (B, A) as (B,), of N candidates each (B, N, A) as (B, N); ensembles put E in front."""
        features = encode(self.encoder, observations)
        if actions.dim() > features.dim():
            features = features.unsqueeze(-2).expand(*actions.shape[:-1], features.shape[-1])
        trunk = self.network(torch.cat((features, actions), -1), train=train)
        values: Tensor = in_float32(self.head, trunk).squeeze(-1)
        return values


class DistributionalCritic(nn.Module):
    """Logits of a categorical distribution of the return over `num_atoms` values in [q_low, q_high]."""

    flax_names: ClassVar[Mapping[str, str]] = {"head": "Dense_0"}
    atoms: Tensor

    def __init__(
        self,
        encoder: nn.Module | None,
        network: nn.Module,
        q_low: float,
        q_high: float,
        num_atoms: int = 51,
        init_final: float | None = None,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.network = network
        self.head = _head(num_atoms, init_final)
        self.register_buffer("atoms", torch.linspace(q_low, q_high, num_atoms), persistent=False)

    def forward(self, observations: Any, actions: Tensor, train: bool = False) -> tuple[Tensor, Tensor]:
        """Logits and the atoms they belong to, both (B, num_atoms)."""
        x = torch.cat((encode(self.encoder, observations), actions), -1)
        logits = in_float32(self.head, self.network(x, train=train))
        return logits, self.atoms.expand_as(logits)


class ContrastiveCritic(nn.Module):
    """Inner products of state-action and goal representations of every pair in a batch. Eysenbach et al. 2022.

    The first half of the encoding is the observation's, the second half the goal's.

    Args:
        encoder: observation and goal to features (B, 2 F).
        sa_net: trunk of the state-action representation.
        g_net: trunk of the goal representation.
        repr_dim: length of both representations.
        twin_q: whether a second pair of trunks gives a second value.
        sa_net2: second state-action trunk.
        g_net2: second goal trunk.
        init_final: bound of the heads' uniform initialisation; Xavier when `None`.
    """

    flax_names: ClassVar[Mapping[str, str]] = {
        "sa_head": "Dense_0",
        "g_head": "Dense_1",
        "sa_head2": "Dense_2",
        "g_head2": "Dense_3",
    }

    def __init__(
        self,
        encoder: nn.Module | None,
        sa_net: nn.Module,
        g_net: nn.Module,
        repr_dim: int = 16,
        twin_q: bool = True,
        sa_net2: nn.Module | None = None,
        g_net2: nn.Module | None = None,
        init_final: float | None = None,
    ) -> None:
        super().__init__()
        if twin_q and (sa_net2 is None or g_net2 is None):
            raise ConfigError("twin_q needs sa_net2 and g_net2")
        self.encoder = encoder
        self.sa_net, self.g_net = sa_net, g_net
        self.sa_net2, self.g_net2 = (sa_net2, g_net2) if twin_q else (None, None)
        self.sa_head, self.g_head = _head(repr_dim, init_final), _head(repr_dim, init_final)
        self.sa_head2 = _head(repr_dim, init_final) if twin_q else None
        self.g_head2 = _head(repr_dim, init_final) if twin_q else None

    def forward(self, observations: Any, actions: Tensor, train: bool = False) -> Tensor:
        """Products [i, j] of state-action i and goal j, (B, B); twin: (B, B, 2)."""
        observation, goal = encode(self.encoder, observations).chunk(2, dim=-1)
        state_action = torch.cat((observation, actions), -1)

        def products(sa_net: nn.Module, sa_head: Dense, g_net: nn.Module, g_head: Dense) -> Tensor:
            product: Tensor = sa_head(sa_net(state_action, train=train)) @ g_head(g_net(goal, train=train)).T
            return product

        first = products(self.sa_net, self.sa_head, self.g_net, self.g_head)
        if self.sa_net2 is None or self.g_net2 is None or self.sa_head2 is None or self.g_head2 is None:
            return first
        return torch.stack((first, products(self.sa_net2, self.sa_head2, self.g_net2, self.g_head2)), -1)


class Policy(nn.Module):
    """Gaussian policy, squashed by tanh on request.

    Args:
        encoder: observation to features, or `None`.
        network: trunk over the features.
        action_dim: length of an action.
        init_final: bound of the mean head's uniform initialisation (SERL ignored it here); Xavier when `None`.
        std_parameterization: `exp` or `softplus` of a head, `uniform` (one trainable value each), or `fixed`.
        std_min: lower bound of the standard deviation.
        std_max: upper bound of the standard deviation.
        tanh_squash_distribution: whether actions lie in (-1, 1).
        fixed_std: standard deviations (A,) for `fixed`.
        stop_gradient: whether the encoder is called with `stop_gradient=True`, so that others train it.

    Raises:
        ConfigError: an unknown parameterization, or `fixed` without `fixed_std` and the reverse.
    """

    flax_names: ClassVar[Mapping[str, str]] = {"mean_head": "Dense_0", "std_head": "Dense_1"}
    fixed_std: Tensor | None

    def __init__(
        self,
        encoder: nn.Module | None,
        network: nn.Module,
        action_dim: int,
        init_final: float | None = None,
        std_parameterization: str = "exp",
        std_min: float = 1e-5,
        std_max: float = 10.0,
        tanh_squash_distribution: bool = False,
        fixed_std: np.ndarray | Sequence[float] | None = None,
        stop_gradient: bool = True,
    ) -> None:
        super().__init__()
        if std_parameterization not in STD_PARAMETERIZATIONS:
            raise ConfigError(f"std_parameterization {std_parameterization!r} is none of {STD_PARAMETERIZATIONS}")
        if (std_parameterization == "fixed") != (fixed_std is not None):
            raise ConfigError("std_parameterization 'fixed' and fixed_std go together")
        self.encoder = encoder
        self.network = network
        self.action_dim = action_dim
        self.stop_gradient = stop_gradient
        self.std_parameterization = std_parameterization
        self.std_min, self.std_max = std_min, std_max
        self.tanh_squash_distribution = tanh_squash_distribution
        self.mean_head = _head(action_dim, init_final)
        self.std_head = _head(action_dim) if std_parameterization in ("exp", "softplus") else None
        if std_parameterization == "uniform":
            self.log_stds = nn.Parameter(torch.zeros(action_dim))
        fixed = None if fixed_std is None else torch.as_tensor(np.asarray(fixed_std, np.float32))
        self.register_buffer("fixed_std", fixed, persistent=False)

    def init_parameters(self, generator: Generator | None) -> None:
        """The state-independent log standard deviation starts at 0; nothing is drawn."""
        if self.std_parameterization == "uniform":
            nn.init.zeros_(self.log_stds)

    def _std(self, features: Tensor) -> Tensor:
        if self.fixed_std is not None:
            return self.fixed_std
        if self.std_head is None:
            return self.log_stds.exp()
        raw = in_float32(self.std_head, features)
        return raw.exp() if self.std_parameterization == "exp" else F.softplus(raw)

    def forward(self, observations: Any, temperature: float = 1.0, train: Train = False) -> ActionDistribution:
        """Distribution of actions (B, A); `temperature` scales the variance after clipping."""
        encoded = encode(self.encoder, observations, train=train, stop_gradient=self.stop_gradient)
        features = self.network(encoded, train=train)
        mean = in_float32(self.mean_head, features)
        std = self._std(features).clamp(self.std_min, self.std_max) * temperature**0.5
        if self.tanh_squash_distribution:
            return TanhMultivariateNormalDiag(mean, std)
        return MultivariateNormalDiag(mean, std)


def ensemblize(make: Callable[..., StackableT], size: int) -> Callable[..., StackableT]:
    """A constructor of `size` independent copies of what `make` builds, held as one stacked set of parameters."""

    def make_ensemble(*args: Any, name: str | None = None, **kwargs: Any) -> StackableT:
        return make(*args, **kwargs).as_ensemble(size)

    return make_ensemble


def call_members(module: nn.Module, members: Tensor, *args: Any) -> Tensor:
    """Evaluate only the members with indices `members` (M,) of every stacked layer in `module`; (M, B, ...)."""
    chosen = {
        f"{prefix}.{name}": parameter.index_select(0, members)
        for prefix, layer in module.named_modules()
        if isinstance(layer, InferredModule) and layer.ensemble_size is not None
        for name, parameter in layer.named_parameters(recurse=False)
    }
    values: Tensor = functional_call(module, chosen, args)
    return values


def ask_members(module: nn.Module, members: Tensor | None, *args: Any) -> Tensor:
    """`call_members`, or all members where `members` is None."""
    values: Tensor = module(*args) if members is None else call_members(module, members, *args)
    return values


def call_frozen(module: nn.Module, *args: Any) -> Tensor:
    """Evaluate `module` with constant parameters: gradients reach its inputs, and none of a weight is computed."""
    # Frozen parameters stay as they are: `functional_call` does not put back one that is reached by two names.
    constant = {name: value.detach() for name, value in module.named_parameters() if value.requires_grad}
    values: Tensor = functional_call(module, constant, args)
    return values
