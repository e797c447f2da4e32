"""The two layouts of an observation that wrappers read: `{"state": {...}, "images": {...}}`, or SERL's flat one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import gymnasium
from gymnasium import spaces

from robotkit import InvalidConfiguration

STATE, IMAGES = "state", "images"


def state_space(wrapper: str, env: gymnasium.Env[Any, Any], *keys: str) -> spaces.Dict:
    """The space of the env's state, which is a dict and has `keys`.

    Raises:
        InvalidConfiguration: it is not, or it has not.
    """
    space = env.observation_space
    state = space.spaces.get(STATE) if isinstance(space, spaces.Dict) else None
    if not isinstance(state, spaces.Dict):
        raise InvalidConfiguration(
            f'{wrapper} needs a dict at observation["state"]; put it inside wrappers that flatten (SERLObsWrapper)'
        )
    missing = sorted(set(keys) - set(state))
    if missing:
        raise InvalidConfiguration(
            f"{wrapper} needs {', '.join(missing)} in the state, which has: {', '.join(sorted(state))}"
        )
    return state


def with_state(space: spaces.Space[Any], **changed: spaces.Space[Any]) -> spaces.Dict:
    """An observation space with some entries of its state changed."""
    assert isinstance(space, spaces.Dict)
    state = space[STATE]
    assert isinstance(state, spaces.Dict)
    return spaces.Dict({**space.spaces, STATE: spaces.Dict({**state.spaces, **changed})})


def keep_images(observation: Mapping[str, Any], keep: Callable[[str], bool]) -> dict[str, Any]:
    """An observation, or the parts of its space, with some of its images only, in either layout."""
    if IMAGES in observation:
        nested = {name: image for name, image in observation[IMAGES].items() if keep(name)}
        return {**observation, IMAGES: spaces.Dict(nested) if isinstance(observation[IMAGES], spaces.Dict) else nested}
    return {name: part for name, part in observation.items() if name == STATE or keep(name)}


def image_names(space: spaces.Space[Any]) -> list[str]:
    """Names of the images in an observation space of either layout."""
    if not isinstance(space, spaces.Dict):
        return []
    images = space.spaces.get(IMAGES, space)
    assert isinstance(images, spaces.Dict)
    return [name for name in images if name != STATE]


def require_images(wrapper: str, space: spaces.Space[Any], names: tuple[str, ...]) -> None:
    """Raise `InvalidConfiguration` unless these images are observed."""
    known = image_names(space)
    missing = [name for name in names if name not in known]
    if missing:
        raise InvalidConfiguration(
            f"{wrapper} needs the image {', '.join(missing)}; observed are: {', '.join(known) or 'none'}"
        )
