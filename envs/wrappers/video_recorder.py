"""`VideoRecorder`: episodes as video files."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import gymnasium
import imageio.v2 as imageio

from envs.wrappers.layout import IMAGES, require_images
from robotkit import InvalidConfiguration, RobotkitError

logger = logging.getLogger(__name__)


class VideoRecorder(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Writes `<folder>/<name>_<episode>.mp4` (or .gif) frame by frame, so that memory does not grow with length.

    The last `info` of a recorded episode holds `video` (of an observed image, `video_<image>`), the path of its
    file. The file is complete from then on; an episode that is broken off leaves a shorter one. What cannot be written
    or rendered costs this episode's video, with a warning, and never the episode.

    Args:
        env: made with `render_mode="rgb_array"`, unless `image` is given.
        folder: where files go; created when missing.
        name: how file names start.
        file_type: "mp4" or "gif".
        should_record: told the number of an episode (from 0), says whether to record it.
        image: record this observed image instead of rendering; one recorder a camera, each with a name of its own.
    """

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        folder: Path | str,
        name: str = "episode",
        file_type: Literal["mp4", "gif"] = "mp4",
        should_record: Callable[[int], bool] = lambda episode: True,
        image: str | None = None,
    ) -> None:
        super().__init__(env)
        if image is not None:
            require_images(type(self).__name__, env.observation_space, (image,))
        elif env.render_mode != "rgb_array":
            raise InvalidConfiguration(f'recording needs render_mode="rgb_array", the env has {env.render_mode!r}')
        self._folder = Path(folder)
        self._name = name
        self._file_type = file_type
        self._should_record = should_record
        self._image = image
        self._episode = -1
        self._writer: Any = None
        self._path = self._folder

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start the next file if this episode is to be recorded."""
        with self._sparing_the_episode():
            self._finish()
        observation, info = self.env.reset(seed=seed, options=options)
        self._episode += 1
        if self._should_record(self._episode):
            with self._sparing_the_episode():
                self._start(observation)
        return observation, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step, and record one frame."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        if self._writer is not None:
            with self._sparing_the_episode():
                self._writer.append_data(self._frame(observation))
        if self._writer is not None and (terminated or truncated):
            with self._sparing_the_episode():
                self._finish()
                info["video" if self._image is None else f"video_{self._image}"] = str(self._path)
        return observation, reward, terminated, truncated, info

    def close(self) -> None:
        """Finish the file and close the env."""
        with self._sparing_the_episode():
            self._finish()
        super().close()

    @contextmanager
    def _sparing_the_episode(self) -> Iterator[None]:
        """Give the video up, not the episode, when the system or a camera refuses."""
        try:
            yield
        except (OSError, RobotkitError) as error:
            logger.warning("the video %s is given up: %s", self._path, error)
            writer, self._writer = self._writer, None
            if writer is not None:
                with suppress(OSError):
                    writer.close()

    def _frame(self, observation: Any) -> Any:
        if self._image is None:
            return self.env.render()
        return observation.get(IMAGES, observation)[self._image]

    def _start(self, observation: Any) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._path = self._folder / f"{self._name}_{self._episode:05d}.{self._file_type}"
        fps = self.metadata["render_fps"]
        # A gif counts hundredths of a second, and viewers slow down what is shorter than two of them.
        options = {"duration": 1000.0 / min(fps, 50), "loop": 0} if self._file_type == "gif" else {"fps": fps}
        self._writer = imageio.get_writer(self._path, **options)
        self._writer.append_data(self._frame(observation))

    def _finish(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()
