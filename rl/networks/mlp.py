"""Multilayer perceptrons, plain and residual, and a single trainable number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Self, cast

import torch
from torch import Generator, Tensor, nn

from rl.errors import ConfigError
from rl.nn.activations import Activation, activation
from rl.nn.dropout import Train, dropout
from rl.nn.initializers import xavier_uniform
from rl.nn.layers import Dense, LayerNorm


class MLP(nn.Module):
    """Dense, dropout, layer norm, activation, for each of `hidden_dims`. Original: networks/mlp.py.

    Args:
        hidden_dims: widths of the layers.
        activations: name or function.
        activate_final: whether the last layer is followed by dropout, norm and activation as the others are.
        use_layer_norm: normalise before each activation (epsilon 1e-6).
        dropout_rate: share of features dropped while training.
    """

    flax_names: ClassVar[Mapping[str, str]] = {"dense": "Dense", "norms": "LayerNorm"}

    def __init__(
        self,
        hidden_dims: Sequence[int],
        activations: str | Activation = "swish",
        activate_final: bool = False,
        use_layer_norm: bool = False,
        dropout_rate: float | None = None,
    ) -> None:
        super().__init__()
        if not hidden_dims:
            raise ConfigError("hidden_dims is empty: an MLP needs at least one layer")
        self.activation = activation(activations)
        self.dropout_rate = dropout_rate
        self.dense = nn.ModuleList(Dense(width, xavier_uniform) for width in hidden_dims)
        self.activated = len(hidden_dims) - (not activate_final)
        self.norms = nn.ModuleList(LayerNorm() for _ in range(self.activated if use_layer_norm else 0))

    def as_ensemble(self, size: int) -> Self:
        """Turn this network into `size` independent ones that share their input and return (size, ..., features)."""
        for index, layer in enumerate(self.dense):
            cast(Dense, layer).as_ensemble(size, shared_input=index == 0)
        for norm in self.norms:
            cast(LayerNorm, norm).as_ensemble(size, shared_input=False)
        return self

    def forward(self, x: Tensor, train: Train = False) -> Tensor:
        """Map (..., in) to (..., hidden_dims[-1])."""
        for index, layer in enumerate(self.dense):
            x = layer(x)
            if index < self.activated:
                x = dropout(x, self.dropout_rate, train)
                x = self.norms[index](x) if len(self.norms) else x
                x = self.activation(x)
        return x


class MLPResNetBlock(nn.Module):
    """Residual block x + Dense(f)(act(Dense(4 f)(norm(x)))), the residual projected when the width changes."""

    flax_names: ClassVar[Mapping[str, str]] = {
        "norm": "LayerNorm_0",
        "expand": "Dense_0",
        "contract": "Dense_1",
        "project": "Dense_2",
    }

    def __init__(
        self,
        features: int,
        act: str | Activation,
        dropout_rate: float | None = None,
        use_layer_norm: bool = False,
    ) -> None:
        super().__init__()
        self.features = features
        self.activation = activation(act)
        self.dropout_rate = dropout_rate
        self.norm = LayerNorm() if use_layer_norm else None
        self.expand = Dense(4 * features)
        self.contract = Dense(features)
        self.project: Dense | None = None

    def forward(self, x: Tensor, train: bool = False) -> Tensor:
        """Map (..., in) to (..., features)."""
        if not self.expand.is_materialised and x.shape[-1] != self.features:
            self.project = Dense(self.features)
        y: Tensor = dropout(x, self.dropout_rate, train)
        y = self.norm(y) if self.norm is not None else y
        y = self.contract(self.activation(self.expand(y)))
        return y + (x if self.project is None else self.project(x))


class MLPResNet(nn.Module):
    """Dense, residual blocks, activation, Dense. Original: networks/mlp.py."""

    flax_names: ClassVar[Mapping[str, str]] = {"input": "Dense_0", "blocks": "MLPResNetBlock", "output": "Dense_1"}

    def __init__(
        self,
        num_blocks: int,
        out_dim: int,
        dropout_rate: float | None = None,
        use_layer_norm: bool = False,
        hidden_dim: int = 256,
        activations: str | Activation = "swish",
    ) -> None:
        super().__init__()
        self.activation = activation(activations)
        self.input = Dense(hidden_dim, xavier_uniform)
        self.blocks = nn.ModuleList(
            MLPResNetBlock(hidden_dim, self.activation, dropout_rate, use_layer_norm) for _ in range(num_blocks)
        )
        self.output = Dense(out_dim, xavier_uniform)

    def forward(self, x: Tensor, train: bool = False) -> Tensor:
        """Map (..., in) to (..., out_dim)."""
        x = self.input(x)
        for block in self.blocks:
            x = block(x, train=train)
        y: Tensor = self.output(self.activation(x))
        return y


class Scalar(nn.Module):
    """One trainable number."""

    def __init__(self, init_value: float) -> None:
        super().__init__()
        self.init_value = init_value
        self.value = nn.Parameter(torch.tensor(float(init_value)))

    def init_parameters(self, generator: Generator | None) -> None:
        """Set the initial value; nothing is drawn."""
        nn.init.constant_(self.value, self.init_value)

    def forward(self) -> Tensor:
        """The number, shape ()."""
        return self.value
