"""Writes imported episodes into a demonstration file, fitted to an environment's spaces and checked, all or none."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from rl.data.demos import RATE_HZ, DemoSummary, DemoWriter, summarize_demos
from rl.data.schema import SCALAR, TransitionSchema
from rl.errors import DataError, SchemaMismatch
from rl.utils.tree import stack
from rl.wrappers.pixel_observation import STATE

FIELDS = ("observations", "actions", "next_observations", "rewards", "masks", "dones")
"""Fields that every transition has; any other is an extra number."""


@dataclass(frozen=True)
class Spaces:
    """The spaces of an environment's observations and actions."""

    observation: gym.Space[Any]
    action: gym.Space[Any]
    rate_hz: float | None = None
    """Actions per second of the environment; None where it is not known."""


@dataclass(frozen=True)
class ImportedEpisode:
    """One episode on its way into a demonstration file."""

    transitions: list[dict[str, Any]]
    success: bool
    rate_hz: float | None = None
    """Actions per second of its recording; None where it is not known."""


def write_demos(
    path: str | os.PathLike[str], episodes: Iterable[ImportedEpisode], spaces: Spaces | None
) -> DemoSummary:
    """Write a demonstration file; it appears under its name only when it is complete.

    Args:
        path: the file; must not exist.
        episodes: the last transition of each must end it.
        spaces: of the environment that the file is for; without them they are read off the first transition.

    Raises:
        DataError: the file exists, there are no episodes, or one does not fit the spaces.
    """
    final = Path(path)
    if final.exists():
        raise DataError(f"{final} exists already: demonstrations are never overwritten; choose another --out")
    if not final.parent.is_dir():
        raise DataError(f"the directory {final.parent} does not exist; make it first")
    draft = final.with_name(f".{final.name}.draft")
    try:
        _remove(draft)
        _write(draft, episodes, spaces)
        draft.rename(final)
    finally:
        _remove(draft)
    return summarize_demos(final)


def _write(path: Path, episodes: Iterable[ImportedEpisode], spaces: Spaces | None) -> None:
    stream = iter(episodes)
    first = next(stream, None)
    if first is None:
        raise DataError("there is no episode to import")
    spaces = spaces or infer_spaces(first.transitions[0])
    extras = sorted(first.transitions[0].keys() - set(FIELDS))
    schema = TransitionSchema.from_spaces(spaces.observation, spaces.action, dict.fromkeys(extras, SCALAR))
    with DemoWriter(path, spaces.observation, spaces.action) as writer:
        for number, episode in enumerate(_chain(first, stream)):
            try:
                fitted = [fit_transition(transition, spaces) for transition in episode.transitions]
                schema.flatten(stack([*fitted]))
            except (SchemaMismatch, KeyError) as error:
                raise DataError(f"episode {number} does not fit the environment: {error}") from error
            origin = {} if episode.rate_hz is None else {RATE_HZ: episode.rate_hz}
            writer.write_episode(fitted, success=episode.success, origin=origin)


def _chain(first: ImportedEpisode, rest: Iterator[ImportedEpisode]) -> Iterator[ImportedEpisode]:
    yield first
    yield from rest


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def infer_spaces(transition: Mapping[str, Any]) -> Spaces:
    """Spaces that this transition fits: images are bytes, numbers are unbounded, actions lie in [-1, 1]."""
    actions = np.asarray(transition["actions"])
    return Spaces(_space_of(transition["observations"]), gym.spaces.Box(-1.0, 1.0, actions.shape, np.float32))


def _space_of(observation: Any) -> gym.Space[Any]:
    if isinstance(observation, Mapping):
        return gym.spaces.Dict({name: _space_of(value) for name, value in observation.items()})
    array = np.asarray(observation)
    if array.dtype == np.uint8:
        return gym.spaces.Box(0, 255, array.shape, np.uint8)
    return gym.spaces.Box(-np.inf, np.inf, array.shape, np.float32)


def fit_transition(transition: Mapping[str, Any], spaces: Spaces) -> dict[str, Any]:
    """A transition as the environment would have given it, with numbers as float32.

    Raises:
        SchemaMismatch: an observation is missing or of another shape, an action is out of bounds, or a reward, mask or
            end mark is no number.
    """
    actions = fit_observation(transition["actions"], spaces.action, "actions")
    box: Any = spaces.action
    if not np.all((actions >= box.low - 1e-5) & (actions <= box.high + 1e-5)):
        raise SchemaMismatch(
            f"an action {np.round(actions, 4).tolist()} lies outside {box.low.min():g} to {box.high.max():g}: "
            "scale the actions to the environment's range first"
        )
    return {
        "observations": fit_observation(transition["observations"], spaces.observation, "observations"),
        "actions": np.clip(actions, box.low, box.high),
        "next_observations": fit_observation(transition["next_observations"], spaces.observation, "next_observations"),
        **{name: _number(value, name) for name, value in transition.items() if name not in FIELDS[:3]},
    }


def fit_observation(value: Any, space: gym.Space[Any], name: str) -> Any:
    """Take what the space holds out of an observation; a frame axis of length 1 comes or goes as the space has it.

    Raises:
        SchemaMismatch: something is missing or of another shape.
    """
    if isinstance(space, gym.spaces.Dict):
        if not isinstance(value, Mapping) or not space.spaces.keys() <= value.keys():
            found = ", ".join(value) if isinstance(value, Mapping) else "one array"
            raise SchemaMismatch(f"{name} should hold {', '.join(space.spaces)}; it holds {found}")
        return {key: fit_observation(value[key], inner, f"{name}/{key}") for key, inner in space.spaces.items()}
    if isinstance(value, Mapping):
        if STATE not in value:
            raise SchemaMismatch(f"{name} should be one array: of {', '.join(value)} none is called {STATE!r}")
        value = value[STATE]
    return _fit_array(np.asarray(value), space, name)


def _fit_array(array: np.ndarray, space: gym.Space[Any], name: str) -> np.ndarray:
    shape = tuple(space.shape or ())
    flat = len(shape) == 1 and array.size == shape[0]
    if not flat and array.shape not in (shape, (1, *shape)) and (1, *array.shape) != shape:
        raise SchemaMismatch(f"{name} has the shape {array.shape}, the environment's has {shape}")
    kind = np.float32 if np.issubdtype(np.dtype(space.dtype), np.floating) else np.dtype(space.dtype)
    if not np.can_cast(array.dtype, kind, "same_kind"):
        raise SchemaMismatch(f"{name} holds {array.dtype}, the environment's holds {np.dtype(kind)}")
    return array.reshape(shape).astype(kind)


def _number(value: Any, name: str) -> np.float32:
    array = np.asarray(value)
    if array.size != 1 or array.dtype.kind not in "biuf":
        raise SchemaMismatch(f"{name} should be one number; it is {array.dtype}{list(array.shape)}")
    return np.float32(array.item())
