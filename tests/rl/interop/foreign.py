"""Writes files as jax and flax write them, without either: pickled jax arrays, and flax's msgpack."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any
from unittest import mock

import msgpack
import numpy as np

JAX_ARRAY = ("jax._src.array", "_reconstruct_array")


class _JaxArray:
    """Pickles as jax's arrays do: by a function of jax that gets the pieces of a numpy array's pickle."""

    rebuild: Any = None

    def __init__(self, array: np.ndarray) -> None:
        self._array = array

    def __reduce__(self) -> tuple[Any, ...]:
        return self.rebuild, (*self._array.__reduce__(), {"weak_type": False, "named_shape": {}})


def map_arrays(function: Any, tree: Any) -> Any:
    """Apply a function to the arrays of nested dicts."""
    if isinstance(tree, Mapping):
        return {name: map_arrays(function, value) for name, value in tree.items()}
    return function(tree) if isinstance(tree, np.ndarray) else tree


def jax_pickle(tree: Any, name: tuple[str, str] = JAX_ARRAY) -> bytes:
    """The pickle of a tree of jax arrays, whose rebuilding function has this module and name."""
    module = ModuleType(name[0])
    rebuild = type(name[1], (), {"__module__": name[0], "__qualname__": name[1]})
    setattr(module, name[1], rebuild)
    parts = name[0].split(".")
    packages = {".".join(parts[:depth]): ModuleType(parts[0]) for depth in range(1, len(parts))}
    with mock.patch.dict(sys.modules, packages | {name[0]: module}), mock.patch.object(_JaxArray, "rebuild", rebuild):
        return pickle.dumps(map_arrays(_JaxArray, tree))


def nested(flat: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """A tree with `a/b/c` keys as nested dicts."""
    tree: dict[str, Any] = {}
    for path, value in flat.items():
        *scopes, leaf = path.split("/")
        scope = tree
        for name in scopes:
            scope = scope.setdefault(name, {})
        scope[leaf] = value
    return tree


def flax_bytes(tree: Any) -> bytes:
    """What `flax.serialization.to_bytes` gives: extension 1 for arrays, 3 for scalars of numpy."""

    def pack(value: Any) -> msgpack.ExtType:
        array = np.asarray(value)
        content = msgpack.packb((array.shape, array.dtype.name, array.tobytes("C")), use_bin_type=True)
        return msgpack.ExtType(1 if isinstance(value, np.ndarray) else 3, content)

    return msgpack.packb(tree, default=pack, strict_types=True)


def train_state(params: Mapping[str, np.ndarray], step: int, targets: Mapping[str, np.ndarray] | None = None) -> Any:
    """SERL's train state as flax turns it into dicts."""
    kernel = next(iter(params.values()))
    moments = {"0": {"count": np.int32(step), "mu": {"kernel": kernel}, "nu": {"kernel": kernel}}, "1": {}}
    return {
        "step": step,
        "params": nested(params),
        "target_params": nested(params if targets is None else targets),
        "opt_states": {"actor": {"count": np.int32(step), "hyperparams": {}, "inner_state": moments}},
        "rng": np.array([0, 42], np.uint32),
    }
