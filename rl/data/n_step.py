"""NStep: turns one actor's stream of 1-step transitions into n-step transitions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from rl.data.schema import GRASP_PENALTY
from rl.errors import ConfigError
from rl.utils.tree import Batch, FlatBatch, Path, leaves, len_of, nest

_REWARDS: Path = ("rewards",)
_MASKS: Path = ("masks",)
_DONES: Path = ("dones",)
_PENALTY: Path = (GRASP_PENALTY,)


class NStep:
    """Sums rewards over the next n steps, within the trajectory.

    A transition that starts at step t and spans m <= n steps (fewer only at the end of the trajectory) gets

        rewards = sum_{k<m} discount^k r_{t+k},  masks = discount^(m-1) * masks_{t+m-1},  next_observations of t+m-1

    so that an agent which bootstraps with `rewards + discount * masks * V(next_observations)` needs no change
    (Sutton & Barto 2018, eq. 7.1). A termination ends the sum with mask 0, a truncation with a bootstrap after m steps.
    Grasp penalties are summed as rewards are. Every other field is that of step t. One instance serves one actor's
    stream; n = 1 changes nothing.

    An agent that adds a bias b to every reward adds it once to what it is given. So that each step of a sum bears it,
    the sum holds it from the second step on: sum_{0<k<m} discount^k b.

    Args:
        n: number of steps, at least 1.
        discount: per step.
        reward_bias: b, which the agent adds to every reward.
    """

    def __init__(self, n: int, discount: float, reward_bias: float = 0.0) -> None:
        if n < 1 or not 0.0 <= discount <= 1.0:
            raise ConfigError(
                f"n-step returns need n >= 1 and a discount in [0, 1], not n = {n}, discount = {discount}"
            )
        self.n = n
        self.discount = discount
        self.reward_bias = reward_bias
        self._waiting: FlatBatch = {}

    @property
    def waiting(self) -> int:
        """The number of transitions that wait for further ones."""
        return len_of(self._waiting) if self._waiting else 0

    def push(self, batch: Mapping[str, Any]) -> Batch:
        """Take the next transitions of the stream and return those that are complete, oldest first (maybe none)."""
        flat = dict(leaves(batch))
        if self._waiting:
            flat = {path: np.concatenate([self._waiting[path], flat[path]]) for path in flat}
        steps = np.arange(len_of(flat))
        ends = (flat[_DONES] > 0) | (flat[_MASKS] == 0)
        next_end = np.minimum.accumulate(np.where(ends, steps, len(steps))[::-1])[::-1]
        last = np.minimum(steps + self.n - 1, next_end)
        complete = int(np.count_nonzero(last < len(steps)))  # `last` never falls, so these come first
        self._waiting = {path: array[complete:] for path, array in flat.items()}
        return self._sum(flat, last[:complete])

    def flush(self) -> Batch:
        """Complete what waits with the steps there are: the stream breaks here, as at a truncation.

        Returns:
            A batch, or an empty dict when nothing waits.
        """
        flat, self._waiting = self._waiting, {}
        length = len_of(flat) if flat else 0
        return self._sum(flat, np.full(length, length - 1)) if length else {}

    def _sum(self, flat: FlatBatch, last: np.ndarray) -> Batch:
        first = np.arange(len(last))
        result = {path: array[last] if path[0] == "next_observations" else array[first] for path, array in flat.items()}
        for path, later in ((_REWARDS, self.reward_bias), (_PENALTY, 0.0)):
            if path in flat:
                result[path] = self._discounted(flat[path], last, later)
        masks = self.discount ** (last - first).astype(np.float64) * flat[_MASKS][last]
        result[_MASKS] = masks.astype(flat[_MASKS].dtype)
        result[_DONES] = flat[_DONES][last]
        return nest(result)

    def _discounted(self, values: np.ndarray, last: np.ndarray, later: float) -> np.ndarray:
        """Sums of `values` from each step to its last one, with `later` added to all but the first of each."""
        first = np.arange(len(last))
        total = values[first].astype(np.float64)
        for k in range(1, self.n):
            inside = first + k <= last
            total[inside] += self.discount**k * (values[first[inside] + k] + later)
        return total.astype(values.dtype)
