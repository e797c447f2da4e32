"""Small operations on batches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from rl.errors import SchemaMismatch
from rl.utils.tree import Batch, leaves, nest


def concat_batches(first: Mapping[str, Any], second: Mapping[str, Any], axis: int = 0) -> Batch:
    """Join two batches of the same fields, the first one first.

    Raises:
        SchemaMismatch: the fields differ.
    """
    left, right = dict(leaves(first)), dict(leaves(second))
    if left.keys() != right.keys():
        raise SchemaMismatch(f"the batches have different fields: {sorted(left)} and {sorted(right)}")
    return nest({path: np.concatenate([left[path], right[path]], axis=axis) for path in left})
