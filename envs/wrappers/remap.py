"""`Remap`: renames the parts of an observation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium
from gymnasium import spaces
from gymnasium.utils import RecordConstructorArgs

from robotkit import InvalidConfiguration

Structure = str | tuple[str, ...] | Mapping[str, "Structure"]
"""A key, a path of keys, or a dict of new names and what stands under them."""


class Remap(gymnasium.ObservationWrapper[Any, Any, Any], RecordConstructorArgs):
    """Builds each observation from a pattern of other names.

    `Remap(env, {"image": ("images", "front"), "state": "state"})` renames, lifts and leaves out.

    Args:
        env: observes a dict.
        structure: the pattern; its leaves are keys, or paths of keys, of the present observation.

    Raises:
        InvalidConfiguration: a leaf names nothing that is observed.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], structure: Structure) -> None:
        RecordConstructorArgs.__init__(self, structure=structure)
        super().__init__(env)
        self._structure = structure
        self.observation_space = _space(env.observation_space, structure)

    def observation(self, observation: Any) -> Any:
        """The pattern, filled."""
        return _fill(observation, self._structure)


def _fill(observation: Any, structure: Structure) -> Any:
    if isinstance(structure, Mapping):
        return {name: _fill(observation, part) for name, part in structure.items()}
    for key in (structure,) if isinstance(structure, str) else structure:
        observation = observation[key]
    return observation


def _space(space: spaces.Space[Any], structure: Structure) -> spaces.Space[Any]:
    if isinstance(structure, Mapping):
        return spaces.Dict({name: _space(space, part) for name, part in structure.items()})
    for key in (structure,) if isinstance(structure, str) else structure:
        if not isinstance(space, spaces.Dict) or key not in space.spaces:
            known = ", ".join(space.spaces) if isinstance(space, spaces.Dict) else f"no keys, it is {space}"
            raise InvalidConfiguration(f"nothing is observed under {structure!r}: there is no {key!r}, only {known}")
        space = space[key]
    return space
