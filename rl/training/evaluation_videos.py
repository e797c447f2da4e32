"""`EvaluationVideos`: the first episodes of every evaluation of a run, as files in its directory."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from rl.config import TrainConfig
from rl.errors import ConfigError
from rl.plots.video_file import VideoFile
from rl.utils.option_words import option
from rl.utils.run_directory import VIDEOS

logger = logging.getLogger(__name__)

_USUAL_HZ = 10.0  # where an environment does not say how many steps it takes in a second
_LEAST_HEIGHT = 256  # pixels; smaller images are enlarged, for people


class EvaluationVideos:
    """Films evaluations. A video that cannot be made ends no evaluation: it is given up, which is said once.

    Args:
        directory: of the videos.
        episodes: first ones of each evaluation that are filmed.
        keep: newest videos that stay.
        rate_hz: actions per second of the environment.
    """

    def __init__(self, directory: Path, episodes: int, keep: int, rate_hz: float = _USUAL_HZ) -> None:
        self._directory, self._episodes, self._keep, self._rate_hz = directory, episodes, keep, rate_hz
        self._has_failed = False

    @classmethod
    def of(cls, config: TrainConfig, env: gym.Env) -> EvaluationVideos | None:
        """Return the videos of a run; None where none are asked for.

        Raises:
            ConfigError: the run has no directory.
        """
        evaluation = config.evaluation
        if not evaluation.video_episodes:
            return None
        rate_hz = (env.metadata.get("render_fps") or _USUAL_HZ) / config.action_repeat
        return cls(config.directory() / VIDEOS, evaluation.video_episodes, evaluation.keep_videos, rate_hz)

    @contextmanager
    def filming(self, env: gym.Env, env_steps: int) -> Iterator[gym.Env]:
        """Yield the environment with a camera on it, for one evaluation after so many steps."""
        path = self._directory / f"step_{env_steps:08d}.mp4"
        filmed = FilmedEnv(env, VideoFile(path, self._rate_hz), self._episodes)
        try:
            yield filmed
        except BaseException:
            filmed.video.give_up()
            raise
        self._conclude(filmed, path)

    def _conclude(self, filmed: FilmedEnv, path: Path) -> None:
        try:
            if filmed.failure is not None:
                filmed.video.give_up()
                raise filmed.failure
            filmed.video.finish()
            for old in sorted(self._directory.glob("step_*.mp4"))[: -self._keep]:
                old.unlink(missing_ok=True)
        except Exception as error:
            if not self._has_failed:
                logger.warning("the video %s could not be made: %s. The evaluations go on without", path, error)
            self._has_failed = True
        else:
            self._has_failed = False


class FilmedEnv(gym.Wrapper):
    """Adds a frame to a video at each reset and each step of its first episodes.

    A frame shows the cameras of the observation, side by side, where the agent sees any, else a rendered image.

    Args:
        env: as the agent sees it; made with `render_mode="rgb_array"` where it sees no image.
        video: takes the frames.
        episodes: how many are filmed.
    """

    def __init__(self, env: gym.Env, video: VideoFile, episodes: int) -> None:
        super().__init__(env)
        self.video = video
        self.failure: Exception | None = None
        """The error that kept a frame from being made; none is made after it."""
        self._left = episodes

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Reset; another episode begins."""
        result = self.env.reset(seed=seed, options=options)
        self._left -= 1
        self._film(result[0])
        return result

    def step(self, action: Any) -> Any:
        """Step."""
        result = self.env.step(action)
        self._film(result[0])
        return result

    def _film(self, observation: Any) -> None:
        if self._left < 0 or self.failure is not None:
            return
        try:
            self.video.add(_cameras(observation) if isinstance(observation, Mapping) else self._rendered())
        except Exception as error:  # of a renderer, of a camera: whatever it is, it is no fault of the policy
            self.failure = error

    def _rendered(self) -> np.ndarray:
        frame: Any = self.env.render()
        if not isinstance(frame, np.ndarray):
            raise TypeError("frames need an environment that was made with render_mode='rgb_array'")
        return frame


def film_mode(config: TrainConfig) -> str | None:
    """The render mode of an environment in which evaluations are filmed; None where they are not, or by cameras."""
    return "rgb_array" if config.evaluation.video_episodes and config.pixel_settings() is None else None


def require_filmable(config: TrainConfig, env: gym.Env) -> None:
    """Raise `ConfigError` where evaluations are to be filmed that cannot be."""
    if config.evaluation.video_episodes and not config.evaluation.every_steps:
        raise ConfigError(
            f"{option('evaluation.video_episodes')} films evaluations, and this run has none: give "
            f"{option('evaluation.every_steps')} above 0, or leave the videos out"
        )
    mode = film_mode(config)
    if mode is not None and mode not in env.metadata.get("render_modes", ()):
        raise ConfigError(
            f"{config.env} cannot be rendered as images (its render_modes lack {mode}), and the agent sees none: leave "
            f"out {option('evaluation.video_episodes')}"
        )


def _cameras(observation: Mapping[str, Any]) -> np.ndarray:
    """The newest images of an observation side by side, those that are as high as the first one."""
    images = [value[-1] for value in observation.values() if value.dtype == np.uint8 and value.ndim == 4]
    joined = np.concatenate([image for image in images if len(image) == len(images[0])], axis=1)
    scale = max(1, _LEAST_HEIGHT // len(joined))
    return joined.repeat(scale, axis=0).repeat(scale, axis=1)
