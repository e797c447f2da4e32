"""Descriptions of Gymnasium spaces as plain values, which tell whether a file's data belongs to an environment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import gymnasium as gym
import numpy as np

from rl.errors import ConfigError, DataError


def describe_space(space: gym.Space[Any]) -> dict[str, Any]:
    """A space as nested dicts, lists, numbers and strings: equal spaces have equal descriptions.

    Bounds that are the same everywhere are one number; infinite ones are strings, because JSON has no infinity.

    Raises:
        ConfigError: a space other than Box, Discrete, MultiDiscrete, MultiBinary or Dict.
    """
    if isinstance(space, gym.spaces.Dict):
        return {"kind": "Dict", "spaces": {name: describe_space(inner) for name, inner in space.spaces.items()}}
    if isinstance(space, gym.spaces.Box):
        bounds = {"low": _bound(space.low), "high": _bound(space.high)}
        return {"kind": "Box", "shape": list(space.shape), "dtype": np.dtype(space.dtype).name, **bounds}
    if isinstance(space, gym.spaces.Discrete):
        return {"kind": "Discrete", "n": int(space.n), "start": int(space.start)}
    if isinstance(space, (gym.spaces.MultiDiscrete, gym.spaces.MultiBinary)):
        size = space.nvec if isinstance(space, gym.spaces.MultiDiscrete) else np.asarray(space.n)
        return {"kind": type(space).__name__, "n": size.tolist()}
    raise ConfigError(f"a {type(space).__name__} space cannot be described; use Box, Discrete or Dict")


def describe_spaces(observation_space: gym.Space[Any], action_space: gym.Space[Any]) -> dict[str, Any]:
    """Describe both spaces of an environment, for the metadata of a journal."""
    return {
        "observation_space": describe_space(observation_space),
        "action_space": describe_space(action_space),
    }


def differences(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """The differences of two results of `describe_spaces`, one phrase for each array; empty for equal ones."""
    here, there = (
        {f"{space}{path}": part for space in both for path, part in _parts(both[space])} for both in (found, wanted)
    )
    return [
        f"{name} is {_said(here.get(name))}; wanted: {_said(there.get(name))}"
        for name in sorted(here.keys() | there.keys())
        if here.get(name) != there.get(name)
    ]


def space_of(description: Mapping[str, Any]) -> gym.Space[Any]:
    """The space that was described, of arrays: Box, or (nested) Dict of them.

    Raises:
        DataError: it is another kind of space, or no description.
    """
    try:
        if description["kind"] == "Dict":
            return gym.spaces.Dict({name: space_of(inner) for name, inner in description["spaces"].items()})
        if description["kind"] != "Box":
            raise DataError(f"a space of the kind {description['kind']} is not supported here; only Box and Dict are")
        shape, dtype = tuple(description["shape"]), np.dtype(description["dtype"])
        low, high = (np.array(description[bound], np.float64) for bound in ("low", "high"))
        low, high = (np.broadcast_to(bound.reshape(shape) if bound.ndim else bound, shape) for bound in (low, high))
        return gym.spaces.Box(low.astype(dtype), high.astype(dtype), shape, dtype.type)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"this is no description of a space: {error}") from error


def _parts(description: Mapping[str, Any], name: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The spaces inside a description that are no Dict, by their paths."""
    if description["kind"] != "Dict":
        yield name, description
        return
    for key, inner in description["spaces"].items():
        yield from _parts(inner, f"{name}/{key}")


def _said(description: Mapping[str, Any] | None) -> str:
    if description is None:
        return "missing"
    if description["kind"] != "Box":
        return f"{description['kind']}({description.get('n')})"
    bounds = [bound if not isinstance(bound, list) else "…" for bound in (description["low"], description["high"])]
    return f"{description['dtype']}{description['shape']} from {bounds[0]} to {bounds[1]}"


def _bound(bound: np.ndarray) -> Any:
    numbers = [number if np.isfinite(number) else str(number) for number in bound.ravel().tolist()]
    return numbers[0] if len(set(numbers)) == 1 else numbers
