"""Parameters from Flax: fills any module of `rl` from a Flax parameter tree, and writes one.

How a module is matched with its Flax scope:

- A child module lives in the scope of its attribute's name. The class attribute `flax_names` renames it
  (`{"head": "Dense_0"}`); the empty name puts the child's parameters into the parent's own scope. The items of a
  `ModuleList` are numbered (`Dense_0`, `Dense_1`), those of a `ModuleDict` carry their key (`encoder_wrist`); the
  networks of an agent are `modules_actor` and so on.
- A parameter keeps its name and layout, unless the class attribute `flax_leaves` (or, for torch's own classes, the
  table below) says otherwise.
- A parameter that two modules share belongs to the first of them.
- A tree of HIL-SERL has one level more around a stacked trunk, `network/VmapMLP_0/Dense_0`; it is read without it.

A new module needs these two class attributes and nothing here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from rl.errors import CheckpointError

STACKED_TRUNK = "VmapMLP_0"
"""Flax's name for the stacked trunk inside the module that HIL-SERL's `ensemblize` makes; SERL's has no such level."""

Convert: TypeAlias = Callable[[np.ndarray], np.ndarray]


def _same(array: np.ndarray) -> np.ndarray:
    return array


def swap_last_axes(array: np.ndarray) -> np.ndarray:
    """Dense kernel (..., in, out) to weight (..., out, in), and back."""
    return np.swapaxes(array, -1, -2)


def hwio_to_oihw(array: np.ndarray) -> np.ndarray:
    """Convolution kernel (H, W, in, out) to (out, in, H, W)."""
    return np.transpose(array, (3, 2, 0, 1))


def oihw_to_hwio(array: np.ndarray) -> np.ndarray:
    """Convolution weight (out, in, H, W) to (H, W, in, out)."""
    return np.transpose(array, (2, 3, 1, 0))


@dataclass(frozen=True)
class FlaxLeaf:
    """The name and the layout of one parameter in Flax."""

    name: str
    """Last part of the path, such as `kernel`."""
    to_torch: Convert = _same
    """Function from Flax's layout to ours."""
    to_flax: Convert = _same
    """Function from our layout to Flax's."""


DENSE_LEAVES = {"weight": FlaxLeaf("kernel", swap_last_axes, swap_last_axes)}
CONV_LEAVES = {"weight": FlaxLeaf("kernel", hwio_to_oihw, oihw_to_hwio)}
NORM_LEAVES = {"weight": FlaxLeaf("scale")}

_TORCH_LEAVES: dict[type[nn.Module], Mapping[str, FlaxLeaf]] = {
    nn.Linear: DENSE_LEAVES,
    nn.Conv2d: CONV_LEAVES,
    nn.LayerNorm: NORM_LEAVES,
    nn.GroupNorm: NORM_LEAVES,
}


@dataclass(frozen=True)
class FlaxParameter:
    """One of our parameters and its place in the Flax tree."""

    path: str
    """Names joined by `/`."""
    parameter: nn.Parameter
    leaf: FlaxLeaf


def _leaves_of(module: nn.Module) -> Mapping[str, FlaxLeaf]:
    own: Mapping[str, FlaxLeaf] | None = getattr(module, "flax_leaves", None)
    if own is not None:
        return own
    return next((leaves for kind, leaves in _TORCH_LEAVES.items() if isinstance(module, kind)), {})


def _join(*names: str) -> str:
    return "/".join(name for name in names if name)


def _children(module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    names: Mapping[str, str] = getattr(module, "flax_names", {})
    for attribute, child in module.named_children():
        name = names.get(attribute, attribute)
        if isinstance(child, nn.ModuleList | nn.ModuleDict):
            yield from ((f"{name}_{key}", item) for key, item in child.named_children())
        else:
            yield name, child


def _walk(module: nn.Module, scope: str) -> Iterator[FlaxParameter]:
    leaves = _leaves_of(module)
    for name, parameter in module.named_parameters(recurse=False):
        leaf = leaves.get(name, FlaxLeaf(name))
        yield FlaxParameter(_join(scope, leaf.name), parameter, leaf)
    for name, child in _children(module):
        yield from _walk(child, _join(scope, name))


def flax_parameters(module: nn.Module) -> dict[str, FlaxParameter]:
    """Every parameter of `module` by its Flax path, each once.

    Raises:
        CheckpointError: a parameter has no shape yet, or two claim one path.
    """
    roots = (
        {f"modules_{key}": child for key, child in module.items()}
        if isinstance(module, nn.ModuleDict)
        else {"": module}
    )
    found: dict[str, FlaxParameter] = {}
    seen: set[int] = set()
    for entry in (entry for scope, root in roots.items() for entry in _walk(root, scope)):
        if is_lazy(entry.parameter):
            raise CheckpointError(f"{entry.path} has no shape yet: call rl.nn.layers.materialise first")
        if id(entry.parameter) in seen:
            continue
        if entry.path in found:
            raise CheckpointError(f"two parameters claim the Flax path {entry.path}: give one a name in flax_names")
        seen.add(id(entry.parameter))
        found[entry.path] = entry
    return found


def flatten(tree: Mapping[str, Any], scope: str = "") -> dict[str, np.ndarray]:
    """A nested tree, or one with `a/b/c` keys, as a flat mapping of paths to arrays."""
    flat: dict[str, np.ndarray] = {}
    for name, value in tree.items():
        path = _join(scope, str(name))
        flat |= flatten(value, path) if isinstance(value, Mapping) else {path: np.asarray(value)}
    return flat


def without_stacked_level(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays of HIL-SERL by the paths of SERL, which differ in the level `VmapMLP_0`.

    Raises:
        CheckpointError: the tree holds one array with the level and without it.
    """
    named = {path: "/".join(name for name in path.split("/") if name != STACKED_TRUNK) for path in arrays}
    renamed = {short: arrays[path] for path, short in named.items()}
    if twice := sorted(path for path, short in named.items() if path != short and short in arrays):
        raise CheckpointError(
            f"the Flax parameters do not fit: {twice[0]} is there, and also without {STACKED_TRUNK}; a tree is of SERL "
            "or of HIL-SERL, not of both"
        )
    return renamed


def _complaints(wanted: Mapping[str, tuple[int, ...]], given: Mapping[str, tuple[int, ...]]) -> list[str]:
    missing = [f"missing {path} {wanted[path]}" for path in wanted.keys() - given.keys()]
    extra = [f"unknown {path} {given[path]}" for path in given.keys() - wanted.keys()]
    shape = [f"{p} is {given[p]}, not {wanted[p]}" for p in wanted.keys() & given.keys() if wanted[p] != given[p]]
    return sorted(missing) + sorted(extra) + sorted(shape)


@torch.no_grad()
def load_flax_params(module: nn.Module, params: Mapping[str, Any]) -> None:
    """Fill every parameter of `module` from a Flax tree, and use every array of the tree.

    Args:
        module: any module of ours with parameters, or an agent's `ModuleDict`.
        params: nested mapping of arrays, or flat with `a/b/c` keys, in Flax's names and layouts, of SERL or HIL-SERL.

    Raises:
        CheckpointError: names each path that is missing, unknown or of another shape; nothing was changed.
    """
    entries = flax_parameters(module)
    arrays = without_stacked_level(flatten(params))
    wanted = {path: _flax_shape(entry) for path, entry in entries.items()}
    if complaints := _complaints(wanted, {path: array.shape for path, array in arrays.items()}):
        raise CheckpointError("the Flax parameters do not fit: " + "; ".join(complaints))
    for path, entry in entries.items():
        entry.parameter.copy_(torch.from_numpy(np.array(entry.leaf.to_torch(arrays[path]))))


def _flax_shape(entry: FlaxParameter) -> tuple[int, ...]:
    return entry.leaf.to_flax(np.empty(entry.parameter.shape, np.bool_)).shape


def _value(parameter: nn.Parameter) -> Tensor:
    return parameter


def to_flax_params(module: nn.Module, value: Callable[[nn.Parameter], Tensor] = _value) -> dict[str, np.ndarray]:
    """Every parameter of `module`, flat, in Flax's names and layouts; `value` may pick its gradient instead."""
    return {
        path: entry.leaf.to_flax(value(entry.parameter).detach().cpu().numpy()).copy()
        for path, entry in flax_parameters(module).items()
    }
