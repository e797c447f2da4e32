"""Activation functions by their names in Flax."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from rl.errors import ConfigError

Activation: TypeAlias = Callable[[Tensor], Tensor]

ACTIVATIONS: dict[str, Activation] = {
    "elu": F.elu,
    "gelu": partial(F.gelu, approximate="tanh"),
    "leaky_relu": F.leaky_relu,
    "relu": F.relu,
    "sigmoid": torch.sigmoid,
    "silu": F.silu,
    "softplus": F.softplus,
    "swish": F.silu,
    "tanh": torch.tanh,
}


def activation(name_or_function: str | Activation) -> Activation:
    """The function of that name as in `flax.linen` (gelu is the tanh form), or the function itself.

    Raises:
        ConfigError: no activation has that name.
    """
    if callable(name_or_function):
        return name_or_function
    if name_or_function not in ACTIVATIONS:
        raise ConfigError(f"no activation is named {name_or_function!r}. Known: {', '.join(sorted(ACTIVATIONS))}")
    return ACTIVATIONS[name_or_function]
