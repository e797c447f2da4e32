"""The type aliases that the learner shares; B is a batch, D an observation's and A an action's length."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

import numpy as np
from torch import Tensor

from rl.utils.tree import Batch

__all__ = ["Arrays", "Batch", "Metrics", "NetworkNames", "Observations"]

Metrics: TypeAlias = dict[str, Tensor]
"""Scalar tensors by name; they stay on the device until somebody logs them."""

Observations: TypeAlias = np.ndarray | Mapping[str, np.ndarray]
"""Observations of an environment: (D,) or (N, D), or a mapping of `state` and images, each with or without N."""

Arrays: TypeAlias = Mapping[str, np.ndarray]
"""Flat named arrays, as they travel between learner and actor."""

NetworkNames: TypeAlias = Iterable[str]
"""Names of networks, each with a loss and an optimizer of its own."""
