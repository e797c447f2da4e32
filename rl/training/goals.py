"""Goals: images of success for VICE, drawn beside every batch for a step of its classifier."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import gymnasium as gym
import numpy as np

from rl.agents.continuous.vice import SUCCESSES
from rl.data.labelled_frames import EpisodeFrames, read_frames
from rl.data.mixture import Source
from rl.data.uniform_sampler import UniformSampler
from rl.errors import DataError
from rl.utils.images import fit_square
from rl.utils.tree import Batch


class Batches(Protocol):
    """An endless stream of numpy batches whose position can be saved and restored."""

    def __next__(self) -> Batch:
        """The next batch."""
        ...

    def state_dict(self) -> Any:
        """Return the state of the stream."""
        ...

    def load_state_dict(self, states: Any) -> None:
        """Restore the state of the stream."""
        ...


class Goals:
    """Stacks of images that show success, as the agent would see them.

    A stack holds neighbouring frames of one recorded episode; where the episode's success began, its first frame is
    repeated, as at the start of an episode.

    Args:
        episodes: frames of one shape, of all cameras that the agent sees.
        stack: images T that the agent sees together.
        seed: of the draws.
    """

    def __init__(self, episodes: Sequence[EpisodeFrames], stack: int, seed: int) -> None:
        self._images = {
            key: np.concatenate([one.images[key] for one in episodes]) for key in next(iter(episodes)).images
        }
        starts = np.cumsum([0, *map(len, episodes)])
        first = np.repeat(starts[:-1], np.diff(starts))
        newest = np.arange(starts[-1])
        self._rows = np.maximum(newest[:, None] + np.arange(1 - stack, 1), first[:, None])
        self._sampler = UniformSampler(seed)

    def __len__(self) -> int:
        return len(self._rows)

    def sample(self, count: int) -> dict[str, np.ndarray]:
        """Draw stacks (count, T, height, width, channels) by camera, with replacement."""
        rows = self._rows[self._sampler.choose(len(self), count)]
        return {key: images[rows] for key, images in self._images.items()}

    def state_dict(self) -> dict[str, Any]:
        """The state of the draws."""
        return self._sampler.state_dict(len(self))

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the draws; the frames must be those of then.

        Raises:
            CheckpointError: there are fewer frames than then.
        """
        self._sampler.load_state_dict(state, len(self))


def load_goals(files: Sequence[Path], observation_space: gym.Space[Any], cameras: Sequence[str], seed: int) -> Goals:
    """The frames that `record success` stored as positives, scaled to what the agent sees.

    Args:
        files: `positives.sqlite` of one or more recordings.
        observation_space: the agent's: images (T, height, width, channels) by camera.
        cameras: of the agent.
        seed: of the draws.

    Raises:
        JournalError: a file is missing or holds something else.
        DataError: there are no frames, a camera is missing, or the images have another shape.
    """
    assert isinstance(observation_space, gym.spaces.Dict)
    shapes: dict[str, Any] = {key: observation_space[key].shape for key in cameras}
    episodes = [_fitted(one, shapes) for one in read_frames(files, cameras)]
    if not episodes:
        raise DataError(
            f"{', '.join(map(str, files))}: no frame of success; record some with `robotkit-train record success`"
        )
    return Goals(episodes, next(iter(shapes.values()))[0], seed)


def _fitted(frames: EpisodeFrames, shapes: Mapping[str, tuple[int, ...]]) -> EpisodeFrames:
    fitted = {}
    for key, (_, height, width, channels) in shapes.items():
        size = height if height == width else None
        fitted[key] = np.stack([fit_square(image, size) for image in frames.images[key]])
        if fitted[key].shape[1:] != (height, width, channels):
            raise DataError(
                f"the goals of camera {key} have images of {fitted[key].shape[1:]}, the agent sees "
                f"{(height, width, channels)}: record them with the camera that it uses"
            )
    return EpisodeFrames(frames.episode, fitted)


class GoalBatches:
    """Batches with what the classifier learns from beside them, under `SUCCESSES`: half replayed, half goals.

    Args:
        batches: what the agent learns from.
        replay: where failures come from; the demonstrations, which end in success, are none.
        goals: successes.
        rows: of the classifier's batch.
    """

    def __init__(self, batches: Batches, replay: Source, goals: Goals, rows: int) -> None:
        self._batches, self._replay, self._goals = batches, replay, goals
        self._half = max(1, rows // 2)

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        batch = next(self._batches)
        replayed = self._replay.sample(self._half)["next_observations"]
        shown = {key: np.concatenate([replayed[key], images]) for key, images in self._goals.sample(self._half).items()}
        return {**batch, SUCCESSES: {"next_observations": shown}}

    def state_dict(self) -> dict[str, Any]:
        """The state of all draws; those of the replay buffer are among the batches'."""
        return {"batches": self._batches.state_dict(), "goals": self._goals.state_dict()}

    def load_state_dict(self, states: Mapping[str, Any]) -> None:
        """Restore all draws; the buffers must hold their data again.

        Raises:
            CheckpointError: a buffer or the goals hold less than then.
        """
        self._batches.load_state_dict(states["batches"])
        self._goals.load_state_dict(states["goals"])
