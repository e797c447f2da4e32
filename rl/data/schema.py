"""The schema of a transition: the names, shapes and dtypes of its fields, fixed once and checked at the border.

A transition has `observations`, `actions`, `next_observations`, `rewards`, `masks` (1 - terminated: a time limit keeps
1, so that the critic bootstraps), `dones` (terminated or truncated: the trajectory ends here), plus declared extras.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np

from rl.errors import ConfigError, SchemaMismatch
from rl.utils.tree import FlatBatch, Path, leaves, len_of


@dataclass(frozen=True)
class Field:
    """One array of a transition, without its batch axis."""

    shape: tuple[int, ...]
    dtype: np.dtype

    def __str__(self) -> str:
        return f"{self.dtype.name}[{','.join(map(str, self.shape))}]"


FIELDS = frozenset({"observations", "actions", "next_observations", "rewards", "masks", "dones"})
"""Fields that every transition has."""

IS_INTERVENTION, GRASP_PENALTY = EXTRAS = ("is_intervention", "grasp_penalty")
"""Fields that an actor adds to every transition: whether a human acted, and the price of moving the gripper."""

EXECUTED_ACTIONS = "executed_actions"
"""Field that an actor adds where a base policy acts: the action that was taken, of which `actions` is the residual."""

SCALAR = Field((), np.dtype(np.float32))
"""A reward, a mask, an end mark or a declared extra."""


class TransitionSchema:
    """The fields of a transition, in a fixed order."""

    def __init__(self, fields: Mapping[Path, Field]) -> None:
        self.fields = dict(fields)

    @classmethod
    def from_spaces(
        cls, observation_space: gym.Space[Any], action_space: gym.Space[Any], extras: Mapping[str, Field] | None = None
    ) -> TransitionSchema:
        """Derive the fields from an environment's spaces; floating point numbers are kept as float32.

        Args:
            observation_space: Box, Discrete, MultiDiscrete, MultiBinary, or a (nested) Dict of them.
            action_space: the same.
            extras: further fields, for example `{"is_intervention": SCALAR}`.

        Raises:
            ConfigError: a space of another kind, or an extra with a name that is taken.
        """
        fields: dict[Path, Field] = {
            **space_fields(observation_space, ("observations",)),
            **space_fields(observation_space, ("next_observations",)),
            **space_fields(action_space, ("actions",)),
        }
        fields |= {(name,): SCALAR for name in ("rewards", "masks", "dones")}
        taken = {path[0] for path in fields}
        for name, extra in (extras or {}).items():
            if name in taken:
                raise ConfigError(
                    f"an extra field cannot be called {name!r}: every transition has a field of that name"
                )
            fields[name,] = extra
        return cls(fields)

    def flatten(self, batch: Mapping[str, Any]) -> FlatBatch:
        """Check a batch (every field has a leading axis of one length) and return its arrays by path.

        Raises:
            SchemaMismatch: a field is missing, unknown, of another shape or kind, or not finite.
        """
        flat = {path: np.asarray(value) for path, value in leaves(batch)}
        if flat.keys() != self.fields.keys():
            raise SchemaMismatch(_key_difference(set(flat), set(self.fields)))
        length = len_of(flat)
        for path, field in self.fields.items():
            _check_array(path, flat[path], field, length)
        return flat

    def describe(self) -> dict[str, str]:
        """The schema as plain text, for metadata: `{"observations/state": "float32[10]"}`."""
        return {"/".join(path): str(field) for path, field in self.fields.items()}


def extra_field(name: str, action_space: gym.Space[Any]) -> Field:
    """The field of an extra that actors add: a number, or an action."""
    return space_fields(action_space, ("actions",))["actions",] if name == EXECUTED_ACTIONS else SCALAR


def space_fields(space: gym.Space[Any], path: Path) -> dict[Path, Field]:
    """The fields that a space takes at a path."""
    if isinstance(space, gym.spaces.Dict):
        nested = [space_fields(inner, (*path, name)) for name, inner in space.spaces.items()]
        return {inner_path: field for fields in nested for inner_path, field in fields.items()}
    if space.shape is None or space.dtype is None or isinstance(space, gym.spaces.Text):
        raise ConfigError(
            f"{'/'.join(path)}: a {type(space).__name__} space cannot be stored; use Box, Discrete or Dict"
        )
    dtype = np.dtype(np.float32) if np.issubdtype(space.dtype, np.floating) else np.dtype(space.dtype)
    return {path: Field(tuple(space.shape), dtype)}


def _check_array(path: Path, array: np.ndarray, field: Field, length: int) -> None:
    name = "/".join(path)
    if array.shape != (length, *field.shape):
        raise SchemaMismatch(f"{name} has shape {array.shape}, expected {(length, *field.shape)}")
    if not np.can_cast(array.dtype, field.dtype, "same_kind"):
        raise SchemaMismatch(f"{name} holds {array.dtype}, which does not fit into {field.dtype}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        row = int(np.argwhere(~np.isfinite(array))[0][0])
        raise SchemaMismatch(f"{name} is not finite in row {row} of {length}: NaN or infinity would poison the critic")


def _key_difference(found: set[Path], expected: set[Path]) -> str:
    missing = ", ".join(sorted("/".join(path) for path in expected - found)) or "nothing"
    unknown = ", ".join(sorted("/".join(path) for path in found - expected)) or "nothing"
    return f"the fields do not match the schema: missing {missing}; unknown {unknown}"
