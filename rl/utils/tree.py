"""Nested dicts of arrays: their leaves with their paths, one by one or stacked to a batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

Path = tuple[str, ...]
"""Where an array sits in a nested dict: ("observations", "images", "wrist")."""

FlatBatch = dict[Path, np.ndarray]
"""Arrays by path, each with the same leading axis."""

Batch = dict[str, Any]
"""Nested dict of arrays or tensors with the same leading axis: of transitions, what agents learn from.

These have observations (B, D), actions (B, A), next_observations (B, D), rewards (B,), masks (B,), all float32. With
cameras, observations are dicts of `state` (B, T, D) and uint8 images (B, T, height, width, channels). A mask is 0 after
a terminated step and 1 otherwise (a time limit is 1): it switches bootstrapping.
"""


def leaves(tree: Mapping[str, Any], prefix: Path = ()) -> Iterator[tuple[Path, Any]]:
    """The leaves of a nested dict with their paths, in its order."""
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from leaves(value, (*prefix, name))
        else:
            yield (*prefix, name), value


def nest(flat: Mapping[Path, Any]) -> Batch:
    """Put leaves back into a nested dict: the inverse of `leaves`."""
    tree: Batch = {}
    for path, value in flat.items():
        node = tree
        for name in path[:-1]:
            node = node.setdefault(name, {})
        node[path[-1]] = value
    return tree


def map_leaves(function: Any, tree: Mapping[str, Any]) -> Batch:
    """Apply a function to every leaf of a nested dict."""
    return {
        name: map_leaves(function, value) if isinstance(value, Mapping) else function(value)
        for name, value in tree.items()
    }


def stack(transitions: list[Mapping[str, Any]]) -> Batch:
    """Single transitions to one batch, in order; they must share their fields."""
    flats = [dict(leaves(transition)) for transition in transitions]
    return nest({path: np.stack([flat[path] for flat in flats]) for path in flats[0]})


def len_of(flat: Mapping[Path, np.ndarray]) -> int:
    """Length of the leading axis of a flat batch (of its first array)."""
    first = next(iter(flat.values()))
    return len(first) if first.ndim else 0
