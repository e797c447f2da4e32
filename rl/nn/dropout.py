"""Dropout with masks that it draws itself, or with given masks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor


class KeepMasks:
    """Dropout masks from outside, so that a loss is a pure function; each layer with dropout takes the next one.

    Args:
        masks: true where a feature is kept, in the order in which the layers run; each broadcasts with its features.
    """

    def __init__(self, masks: Sequence[Tensor]) -> None:
        self._left = list(masks)

    def take(self) -> Tensor:
        """The mask of the next layer."""
        return self._left.pop(0)


Train: TypeAlias = bool | KeepMasks
"""Whether dropout is active: with masks of its own, or with given ones."""


def dropout(x: Tensor, rate: float | None, train: Train) -> Tensor:
    """Zero a share `rate` of the features while training, scaling the rest; the identity otherwise."""
    if not train or not rate:
        return x
    if isinstance(train, KeepMasks):
        # Products with numbers run in vector registers; a choice between two tensors does not on a CPU.
        return x * train.take().view(torch.uint8) * (1 / (1 - rate))
    return F.dropout(x, rate, training=True)
