"""Wrappers for pixel agents: `state` in one vector, images by camera, frames stacked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import gymnasium as gym
import numpy as np

from rl.errors import ConfigError
from rl.utils.images import fit_square
from rl.utils.option_words import by_caller, option
from rl.wrappers.adapter_config import ImagesConfig

STATE = "state"
"""Name of the vector that holds everything but images."""

IMAGE = "image"
"""Name of the camera where the whole observation is one image."""

Path = tuple[str, ...]


class PixelObservation(gym.ObservationWrapper):
    """Puts images under the names of their cameras and everything else, as float32, into one vector `state`.

    The vector holds its parts in the order of `gymnasium.spaces.flatten`, alphabetical for a Dict.

    Args:
        env: its observation is a (nested) Dict with uint8 images (height, width, channels), or such an image alone.
        cameras: names of the images to keep, which are the last names of their paths; all when None.
        size: height and width that images are scaled to; None leaves them.

    Raises:
        ConfigError: there is no image, a camera is unknown, or two have one name.
    """

    def __init__(self, env: gym.Env, cameras: Sequence[str] | None = None, size: int | None = None) -> None:
        super().__init__(env)
        paths = _camera_paths(env.observation_space)
        unknown = [name for name in cameras or () if name not in paths]
        if unknown or not paths:
            remedy = "Choose one of these" if paths else "Choose an environment with images"
            raise ConfigError(
                f"a pixel agent needs images, uint8 of shape (height, width, channels); the observation has no "
                f"{', '.join(unknown) or 'camera'}. Its cameras: {', '.join(paths) or 'none'}. {remedy}, or "
                f"{by_caller('--agent sac', 'rl.SAC')} for vectors"
            )
        self._paths = {name: paths[name] for name in (paths if cameras is None else cameras)}
        self._size = size
        self._rest = _without(env.observation_space, set(paths.values()))
        spaces: dict[str, gym.Space[Any]] = {
            name: _image_space(_at(env.observation_space, path), size) for name, path in self._paths.items()
        }
        if self._rest is not None:
            length = gym.spaces.flatdim(self._rest)
            spaces[STATE] = gym.spaces.Box(-np.inf, np.inf, (length,), np.float32)
        self.observation_space = gym.spaces.Dict(spaces)

    def observation(self, observation: Any) -> dict[str, np.ndarray]:
        """Sort, scale and flatten."""
        seen = {name: fit_square(_at(observation, path), self._size) for name, path in self._paths.items()}
        if self._rest is not None:
            seen[STATE] = gym.spaces.flatten(self._rest, observation).astype(np.float32)  # type: ignore[union-attr]
        return {name: seen[name] for name in self.observation_space.spaces}  # type: ignore[attr-defined]


class NewestImages(gym.ObservationWrapper):
    """Keeps the newest of the stacked images of each camera; the state stays stacked as it is.

    Args:
        env: its observation is that of `PixelObservation`, with a leading axis of frames.
        frames: how many to keep.
    """

    def __init__(self, env: gym.Env, frames: int) -> None:
        super().__init__(env)
        self._frames = frames
        space = env.observation_space
        assert isinstance(space, gym.spaces.Dict)
        self.observation_space = gym.spaces.Dict(
            {name: inner if name == STATE else _newest(inner, frames) for name, inner in space.spaces.items()}
        )

    def observation(self, observation: Any) -> dict[str, np.ndarray]:
        """Drop the older images."""
        return {name: seen if name == STATE else seen[-self._frames :] for name, seen in observation.items()}


def wrap_pixels(env: gym.Env, cameras: Sequence[str] | None, images: ImagesConfig, frame_stack: int) -> gym.Env:
    """Wrap an environment for a pixel agent: `state` (T, D) and each camera (T, height, width, channels).

    Args:
        env: see `PixelObservation`.
        cameras: see `PixelObservation`.
        images: how images are handed over.
        frame_stack: observations T that are handed over together.

    Raises:
        ConfigError: there are no such images, or more of them are wanted than observations are stacked.
    """
    frames = frame_stack if images.frames is None else images.frames
    if not 1 <= frames <= frame_stack:
        raise ConfigError(
            f"{option('images.frames')} must lie between 1 and {option('frame_stack', frame_stack)}, not {frames}"
        )
    env = gym.wrappers.FrameStackObservation(PixelObservation(env, cameras, images.size), frame_stack)
    return env if frames == frame_stack else NewestImages(env, frames)


def has_images(space: gym.Space[Any]) -> bool:
    """True when an observation holds what could be an image."""
    if isinstance(space, gym.spaces.Dict):
        return any(has_images(inner) for inner in space.spaces.values())
    return space.dtype == np.uint8


def is_camera(space: gym.Space[Any]) -> bool:
    """True for an image (height, width, channels)."""
    return isinstance(space, gym.spaces.Box) and space.dtype == np.uint8 and len(space.shape) == 3


def leaf_spaces(space: gym.Space[Any], path: Path = ()) -> Iterator[tuple[Path, gym.Space[Any]]]:
    """The parts of a (nested) Dict, in the order of `gymnasium.spaces.flatten`."""
    if isinstance(space, gym.spaces.Dict):
        for name, inner in space.spaces.items():
            yield from leaf_spaces(inner, (*path, name))
    else:
        yield path, space


def _camera_paths(space: gym.Space[Any]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path, leaf in leaf_spaces(space):
        if is_camera(leaf):
            name = path[-1] if path else IMAGE
            if name in found or name == STATE:
                raise ConfigError(f"the images {'/'.join(path)} and {name} of the observation cannot share a name")
            found[name] = path
    return found


def _without(space: gym.Space[Any], cameras: set[Path], path: Path = ()) -> gym.Space[Any] | None:
    """The space without its images; None when nothing is left."""
    if not isinstance(space, gym.spaces.Dict):
        return None if path in cameras else space
    parts = {name: _without(inner, cameras, (*path, name)) for name, inner in space.spaces.items()}
    kept = {name: part for name, part in parts.items() if part is not None}
    return gym.spaces.Dict(kept) if kept else None


def _at(tree: Any, path: Path) -> Any:
    for name in path:
        tree = tree[name]
    return tree


def _image_space(space: gym.Space[Any], size: int | None) -> gym.spaces.Box:
    assert space.shape is not None
    shape = space.shape if size is None else (size, size, space.shape[2])
    return gym.spaces.Box(0, 255, shape, np.uint8)


def _newest(space: gym.Space[Any], frames: int) -> gym.spaces.Box:
    assert isinstance(space, gym.spaces.Box)
    return gym.spaces.Box(space.low[-frames:], space.high[-frames:], dtype=np.uint8)
