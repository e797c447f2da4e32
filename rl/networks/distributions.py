"""The two action distributions of a policy: a diagonal Gaussian, and a diagonal Gaussian squashed by tanh.

The noise of a sample is an argument, so that a loss is a pure function. B stands for any leading axes, A for the
action's length.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from rl.errors import ConfigError

_LOG_2PI = math.log(2 * math.pi)


@dataclass(frozen=True)
class MultivariateNormalDiag:
    """Gaussian with mean `loc` and standard deviations `scale_diag`, both (B, A)."""

    loc: Tensor
    scale_diag: Tensor

    def sample(self, eps: Tensor) -> Tensor:
        """The draw (B, A) that belongs to standard normal noise `eps` (B, A)."""
        return self.loc + self.scale_diag * eps

    def sample_and_log_prob(self, eps: Tensor) -> tuple[Tensor, Tensor]:
        """The draw (B, A) and its log-density (B,)."""
        return self.sample(eps), self._log_density(eps)

    def _log_density(self, eps: Tensor) -> Tensor:
        return (-0.5 * eps.square() - 0.5 * _LOG_2PI - self.scale_diag.log()).sum(-1)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density (B,) at `value` (B, A)."""
        return self._log_density((value - self.loc) / self.scale_diag)

    def mode(self) -> Tensor:
        """The most likely value, (B, A)."""
        return self.loc

    def stddev(self) -> Tensor:
        """Standard deviations, (B, A)."""
        return self.scale_diag.expand_as(self.loc)

    def entropy(self) -> Tensor:
        """Differential entropy in nats, (B,)."""
        return (0.5 + 0.5 * _LOG_2PI + self.stddev().log()).sum(-1)


@dataclass(frozen=True)
class TanhMultivariateNormalDiag:
    """A diagonal Gaussian squashed by tanh and, with bounds, stretched to (low, high).

    Args:
        loc: mean before squashing, (B, A).
        scale_diag: standard deviation before squashing, (B, A).
        low: lower bound (A,); -1 when not given.
        high: upper bound (A,); 1 when not given.
    """

    loc: Tensor
    scale_diag: Tensor
    low: Tensor | None = None
    high: Tensor | None = None

    def __post_init__(self) -> None:
        """Refuse half a pair of bounds."""
        if (self.low is None) != (self.high is None):
            raise ConfigError("give both low and high, or neither")

    @property
    def _normal(self) -> MultivariateNormalDiag:
        return MultivariateNormalDiag(self.loc, self.scale_diag)

    def _squash(self, x: Tensor) -> Tensor:
        y = torch.tanh(x)
        if self.low is None or self.high is None:
            return y
        return self.low + (self.high - self.low) * (y + 1) / 2

    def _log_det(self, x: Tensor) -> Tensor:
        # log(1 - tanh(x)^2) in a form that stays finite when tanh saturates.
        log_det = 2 * (math.log(2) - x - F.softplus(-2 * x))
        if self.low is not None and self.high is not None:
            log_det = log_det + torch.log((self.high - self.low) / 2)
        return log_det.sum(-1)

    def sample(self, eps: Tensor) -> Tensor:
        """The draw (B, A) that belongs to standard normal noise `eps` (B, A)."""
        return self._squash(self._normal.sample(eps))

    def sample_and_log_prob(self, eps: Tensor) -> tuple[Tensor, Tensor]:
        """The draw (B, A) and its log-density (B,); tanh is never inverted. Haarnoja et al. 2018, eq. 21."""
        x, log_prob = self._normal.sample_and_log_prob(eps)
        return self._squash(x), log_prob - self._log_det(x)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density (B,) at `value` (B, A); not finite where a component sits on a bound."""
        unit = value
        if self.low is not None and self.high is not None:
            unit = 2 * (value - self.low) / (self.high - self.low) - 1
        x = torch.atanh(unit)
        return self._normal.log_prob(x) - self._log_det(x)

    def mode(self) -> Tensor:
        """The squashed mean, (B, A)."""
        return self._squash(self.loc)

    def stddev(self) -> Tensor:
        """The squashed standard deviation (B, A): what SERL reports, not the deviation of the squashed variable."""
        return self._squash(self.scale_diag.expand_as(self.loc))


ActionDistribution = MultivariateNormalDiag | TanhMultivariateNormalDiag
