"""Lagrange multipliers of equality and inequality constraints. Original: networks/lagrange.py."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from rl.errors import ConfigError

CONSTRAINT_TYPES = ("eq", "geq", "leq")


def _identity(x: Tensor) -> Tensor:
    return x


_TO_MULTIPLIER: dict[str | None, Callable[[Tensor], Tensor]] = {
    "softplus": F.softplus,
    "exp": torch.exp,
    None: _identity,
    "none": _identity,
}


class LagrangeMultiplier(nn.Module):
    """A trainable multiplier and the penalty it puts on a constraint between `lhs` and `rhs`.

    Args:
        init_value: first value of the multiplier.
        constraint_shape: shape of the multiplier.
        constraint_type: `eq`, `geq` (lhs >= rhs) or `leq` (lhs <= rhs).
        parameterization: `softplus` or `exp` keep it positive; `None` leaves it free.

    Raises:
        ConfigError: an unknown type or parameterization.
    """

    def __init__(
        self,
        init_value: float = 1.0,
        constraint_shape: tuple[int, ...] = (),
        constraint_type: str = "eq",
        parameterization: str | None = None,
    ) -> None:
        super().__init__()
        if constraint_type not in CONSTRAINT_TYPES:
            raise ConfigError(f"constraint_type {constraint_type!r} is none of {CONSTRAINT_TYPES}")
        if parameterization not in _TO_MULTIPLIER:
            raise ConfigError(f"parameterization {parameterization!r} is none of 'softplus', 'exp', None")
        self.constraint_type = constraint_type
        self.parameterization = parameterization
        self.init_value = init_value
        self.lagrange = nn.Parameter(torch.full(constraint_shape, self._initial()))

    def _initial(self) -> float:
        if self.parameterization == "softplus":
            return math.log(math.expm1(self.init_value))
        return math.log(self.init_value) if self.parameterization == "exp" else self.init_value

    def init_parameters(self, generator: Generator | None) -> None:
        """Set the initial value; nothing is drawn."""
        nn.init.constant_(self.lagrange, self._initial())

    def forward(self, lhs: Tensor | None = None, rhs: Tensor | None = None) -> Tensor:
        """The multiplier, or with `lhs` its penalty on lhs - rhs (`rhs` is 0 when not given)."""
        multiplier = _TO_MULTIPLIER[self.parameterization](self.lagrange)
        if lhs is None:
            return multiplier
        difference = lhs if rhs is None else lhs - rhs
        return multiplier * (-difference if self.constraint_type == "leq" else difference)


class GeqLagrangeMultiplier(LagrangeMultiplier):
    """Multiplier of lhs >= rhs, positive by softplus."""

    def __init__(
        self,
        init_value: float = 1.0,
        constraint_shape: tuple[int, ...] = (),
        parameterization: str | None = "softplus",
    ) -> None:
        super().__init__(init_value, constraint_shape, "geq", parameterization)


class LeqLagrangeMultiplier(LagrangeMultiplier):
    """Multiplier of lhs <= rhs, positive by softplus. The original's spelling error made it unusable."""

    def __init__(
        self,
        init_value: float = 1.0,
        constraint_shape: tuple[int, ...] = (),
        parameterization: str | None = "softplus",
    ) -> None:
        super().__init__(init_value, constraint_shape, "leq", parameterization)
