"""`SERLObsWrapper`: the observation layout that SERL's agents expect."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.utils import RecordConstructorArgs

from robotkit import InvalidConfiguration


class SERLObsWrapper(gymnasium.ObservationWrapper[Any, Any, Any], RecordConstructorArgs):
    """`{"state": {...}, "images": {...}}` becomes `{"state": vector, **images}`.

    The vector holds the state's entries in alphabetical order of their keys.

    Args:
        env: an env whose state is a dict of float vectors.
        proprio_keys: the entries to keep; all when None.

    Raises:
        InvalidConfiguration: a key is not in the state.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], proprio_keys: Sequence[str] | None = None) -> None:
        RecordConstructorArgs.__init__(self, proprio_keys=proprio_keys)
        super().__init__(env)
        space = env.observation_space
        assert isinstance(space, spaces.Dict)
        state_space = space["state"]
        assert isinstance(state_space, spaces.Dict)
        unknown = set(proprio_keys or ()) - set(state_space)
        if unknown:
            raise InvalidConfiguration(f"the state has no entry {', '.join(sorted(unknown))}; it has: "
                                       f"{', '.join(sorted(state_space))}")  # fmt: skip
        self._keys = sorted(state_space if proprio_keys is None else proprio_keys)
        images = space.spaces.get("images", spaces.Dict())
        assert isinstance(images, spaces.Dict)
        kept = spaces.Dict({key: state_space[key] for key in self._keys})
        self.observation_space = spaces.Dict({"state": spaces.flatten_space(kept), **images.spaces})

    def observation(self, observation: Any) -> dict[str, Any]:
        """Flatten the state, lift the images."""
        state = observation["state"]
        return {"state": np.concatenate([state[key] for key in self._keys]), **observation.get("images", {})}
