"""MemoryEfficientReplayBuffer: transitions with stacks of camera images, where every image is stored once."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import Any

import gymnasium as gym
import numpy as np

from rl.data.frames import FrameEncoding, FrameStore
from rl.data.rows import RowStore
from rl.data.schema import Field, TransitionSchema
from rl.data.uniform_sampler import UniformSampler
from rl.errors import ConfigError, DataError
from rl.utils.tree import Batch, FlatBatch, map_leaves, nest


class MemoryEfficientReplayBuffer:
    """A replay buffer for image observations of shape (stack, height, width, channels).

    The next observation shares all but its newest image with the observation, and the next transition shares them all;
    so a long run needs one image per step and camera instead of two stacks. Each transition keeps the numbers of its
    images: what follows it in the ring plays no role. Dropped transitions, unmarked ends of episodes, n-step returns,
    interleaved actors, sparse inserts of interventions and the seam of the ring may cost extra images, and can never
    pair the wrong ones.

    Args:
        observation_space: a Dict; the images carry a leading stack axis of one length.
        action_space: usually a Box.
        capacity: transitions kept at most; fewer when their images need more than `frame_capacity`.
        image_keys: the observation's images.
        seed: seed of the buffer's own generator.
        frame_capacity: images kept per camera; by default a tenth more than transitions, enough for whole episodes of
            ten steps and more.
        extras: fields beyond the six of every transition.
        encoding: what is kept and sampled instead of the images. Of its variants each sample draws one for each name,
            alike for the frames of a stack, and apart for the observation and the next one.

    Raises:
        ConfigError: an image key that is not in the space, stacks of different lengths, or too little capacity.
    """

    def __init__(
        self,
        observation_space: gym.Space[Any],
        action_space: gym.Space[Any],
        capacity: int,
        image_keys: Iterable[str],
        *,
        seed: int,
        frame_capacity: int | None = None,
        extras: Mapping[str, Field] | None = None,
        encoding: FrameEncoding | None = None,
    ) -> None:
        self.schema = TransitionSchema.from_spaces(observation_space, action_space, extras)
        self.image_keys = tuple(image_keys)
        self.stack = _stack_length(self.schema, self.image_keys)
        self.capacity = capacity
        frames = frame_capacity if frame_capacity is not None else capacity + capacity // 10 + self.stack + 1
        if capacity < 1 or frames < 2 * self.stack + 2:
            raise ConfigError(f"capacity {capacity} with {frames} images is too small for stacks of {self.stack}")
        cameras = {key: self.schema.fields["observations", key] for key in self.image_keys}
        images = {key: Field(camera.shape[1:], camera.dtype) for key, camera in cameras.items()}
        self._frames = FrameStore(images, frames, 2 * self.stack, capacity, encoding)
        self._images = {(when, key) for when in ("observations", "next_observations") for key in self.image_keys}
        plain = {path: field for path, field in self.schema.fields.items() if path not in self._images}
        self._rows = RowStore(plain, capacity)
        self._numbers = np.full((capacity, 2, self.stack), -1, dtype=np.int64)
        self._sampler = UniformSampler(seed)
        self._oldest = 0
        self._inserted = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return self._inserted - self._oldest

    @property
    def inserted(self) -> int:
        """The number of transitions that were ever inserted."""
        return self._inserted

    @property
    def history(self) -> int:
        """The newest transitions from which a new buffer comes to hold what this one holds."""
        return 2 * self.capacity  # among them one at which the frames forget what was before

    @property
    def frames_written(self) -> int:
        """The number of images per camera that were ever stored."""
        return self._frames.written

    def insert(self, transition: Mapping[str, Any]) -> None:
        """Store one transition (fields without batch axis).

        Raises:
            SchemaMismatch: a field is missing, unknown, of another shape or kind, or not finite; nothing is stored.
        """
        self.extend(map_leaves(lambda value: np.asarray(value)[None], transition))

    def extend(self, batch: Mapping[str, Any]) -> None:
        """Store a batch of transitions in order (each field has a leading axis of one length).

        Raises:
            SchemaMismatch: as for `insert`; nothing of the batch is stored.
        """
        flat = self.schema.flatten(batch)
        with self._lock:
            self._write(flat)

    def skip(self, count: int) -> None:
        """Count `count` transitions as inserted and overwritten; this buffer must be new.

        Then the next ones lie where they would lie after those, and samples are the same.
        """
        with self._lock:
            self._oldest = self._inserted = count

    def sample(
        self, batch_size: int, *, indices: np.ndarray | None = None, pack_obs_and_next_obs: bool = False
    ) -> Batch:
        """Draw transitions uniformly, with replacement; or take those at `indices`, where 0 is the oldest.

        Variants of an encoding are drawn in any case.

        Args:
            batch_size: how many.
            indices: (batch_size,) positions in 0..len-1.
            pack_obs_and_next_obs: give the images as one run of stack + 1 under `observations` and none under
                `next_observations`: with long stacks half the bytes on the way to a GPU.

        Raises:
            EmptyBuffer: nothing is stored.
            DataError: `indices` do not fit, or a stack does not overlap with its next one and cannot be packed.
        """
        with self._lock:
            rows = (self._sampler.choose(len(self), batch_size, indices) + self._oldest) % self.capacity
            numbers = self._numbers[rows]
            flat = self._rows.read(rows)
            flat |= self._packed(numbers) if pack_obs_and_next_obs else self._unpacked(numbers)
            return nest(flat)

    def state_dict(self) -> dict[str, Any]:
        """The state that an exact resume needs besides the data: counters and the generator's state."""
        with self._lock:
            return self._sampler.state_dict(self._inserted)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the generator, after the data has been inserted again.

        Raises:
            CheckpointError: fewer transitions are here than when the state was taken.
        """
        self._sampler.load_state_dict(state, self._inserted)

    def _write(self, flat: FlatBatch) -> None:
        moments = [{key: flat[when, key] for key in self.image_keys} for when in ("observations", "next_observations")]
        numbers = self._frames.place(moments, self._inserted)
        for index, number in enumerate(numbers):
            row = self._inserted % self.capacity
            self._numbers[row] = number
            self._rows.write(slice(row, row + 1), flat, slice(index, index + 1))
            self._inserted += 1
        self._oldest = max(self._oldest, self._inserted - self.capacity, self._frames.forgotten)

    def _unpacked(self, numbers: np.ndarray) -> FlatBatch:
        moments = {"observations": numbers[:, 0], "next_observations": numbers[:, 1]}
        return {(when, key): images for when, of in moments.items() for key, images in self._read(of).items()}

    def _packed(self, numbers: np.ndarray) -> FlatBatch:
        if not np.array_equal(numbers[:, 0, 1:], numbers[:, 1, :-1]):
            raise DataError("a next observation does not continue its observation by one image: sample without packing")
        window = np.concatenate([numbers[:, 0], numbers[:, 1, -1:]], axis=1)
        return {("observations", key): images for key, images in self._read(window).items()}

    def _read(self, numbers: np.ndarray) -> dict[str, np.ndarray]:
        return self._frames.read(numbers, self._frames.draw_variants(self._sampler, (len(numbers), 1)))


def _stack_length(schema: TransitionSchema, image_keys: tuple[str, ...]) -> int:
    fields = [schema.fields.get(("observations", key)) for key in image_keys]
    lengths = {field.shape[0] if field is not None and len(field.shape) == 4 else 0 for field in fields}
    if len(lengths) != 1 or 0 in lengths:
        known = ", ".join("/".join(path) for path in schema.fields if path[0] == "observations")
        raise ConfigError(
            f"the images {list(image_keys)} must be observations of shape (stack, height, width, channels) with one "
            f"stack length; the observations are {known}"
        )
    return lengths.pop()
