"""The type aliases that the learner shares; B is a batch, D an observation's and A an action's length."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import numpy as np
from torch import Tensor

Batch: TypeAlias = Mapping[str, Any]
"""Transitions: observations (B, D), actions (B, A), next_observations (B, D), rewards (B,), masks (B,), all float32.

With cameras, observations are mappings of `state` (B, T, D) and uint8 images (B, T, height, width, channels).

A mask is 0 after a terminated step and 1 otherwise (a time limit is 1): it switches bootstrapping.
"""

Metrics: TypeAlias = dict[str, Tensor]
"""Scalar tensors by name; they stay on the device until somebody logs them."""

Observations: TypeAlias = np.ndarray | Mapping[str, np.ndarray]
"""Observations of an environment: (D,) or (N, D), or a mapping of `state` and images, each with or without N."""

Arrays: TypeAlias = Mapping[str, np.ndarray]
"""Flat named arrays, as they travel between learner and actor."""

NetworkNames: TypeAlias = Iterable[str]
"""Names of networks, each with a loss and an optimizer of its own."""
