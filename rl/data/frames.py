"""FrameStore: a ring of camera frames, each stored once and named by a number that is never used again."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rl.data.schema import Field
from rl.data.uniform_sampler import UniformSampler

Images = Mapping[str, np.ndarray]
"""Images of the cameras at one moment, (height, width, channels) by camera."""

_DIGEST_BYTES = 16
_MIN_REACH = 64
_REACH_SHARE = 10


@dataclass(frozen=True)
class FrameEncoding:
    """The encoding of a frame that is kept instead of its images, such as the feature maps of a frozen network."""

    fields: Mapping[str, Field]
    """Shape and dtype of one frame's arrays, by the names that samples give them."""
    encode: Callable[[Mapping[str, np.ndarray], np.ndarray], Mapping[str, np.ndarray]]
    """Images (N, height, width, channels) by camera, and the number (N,) of the first user of each frame, to those
    arrays, each with (N, variants) in front."""
    variants: int = 1
    """Encodings of each frame, such as of differently shifted images; a sample takes one of them."""

    @property
    def frame_bytes(self) -> int:
        """Memory that one frame takes."""
        return self.variants * sum(math.prod(field.shape) * field.dtype.itemsize for field in self.fields.values())


class FrameStore:
    """Keeps the newest frames. A frame holds the images of all cameras at one moment; frames are numbered from 0.

    A frame is recognised by a 128-bit digest of its pixels among the newest tenth of the store, so that the same moment
    may come again in another order: as the next observation n steps later, or from several actors in turn. Where it
    comes twice running, its pixels are compared.

    Args:
        cameras: shape and dtype of one image, by camera.
        capacity: number of frames kept.
        most: frames that `place` is given for one user at most.
        epoch: users among which a frame is recognised. At each multiple of it all are forgotten, so that what is kept
            depends on the newest users alone, and not on where the store began.
        encoding: what is kept instead of images; the images themselves when None.
    """

    def __init__(
        self, cameras: Mapping[str, Field], capacity: int, most: int, epoch: int, encoding: FrameEncoding | None = None
    ) -> None:
        self.capacity = capacity
        self.written = 0
        self.forgotten = 0
        """Users below this number have lost a frame."""
        self._cameras = tuple(cameras)
        self._epoch = epoch
        self._encoding = encoding
        fields = cameras if encoding is None else encoding.fields
        self._variants = 1 if encoding is None else encoding.variants
        rows = capacity * self._variants
        self._arrays = {name: np.zeros((rows, *field.shape), field.dtype) for name, field in fields.items()}
        self._last: tuple[Images, int] = {}, -1
        self._digests: list[bytes] = [b""] * capacity
        self._numbers: dict[bytes, int] = {}
        self._last_user = np.full(capacity, -1, dtype=np.int64)
        # What a user is given may not be overwritten by what else is written for it.
        self._reach = min(capacity - most, max(_MIN_REACH, capacity // _REACH_SHARE))

    @property
    def oldest(self) -> int:
        """Number of the oldest frame that is still here."""
        return max(0, self.written - self.capacity)

    def place(self, moments: Sequence[Mapping[str, np.ndarray]], first_user: int) -> np.ndarray:
        """Name the frames of consecutive users, storing only those that are not here yet.

        Args:
            moments: images (N, stack, ...) by camera, one mapping for each stack that a user has.
            first_user: number of the first of the N users; they count upwards.

        Returns:
            (N, moments, stack) numbers.
        """
        users, stack = next(iter(moments[0].values())).shape[:2]
        numbers = np.empty((users, len(moments), stack), dtype=np.int64)
        fresh: list[tuple[Images, int]] = []
        for user, moment, position in np.ndindex(numbers.shape):
            if moment == position == 0 and (first_user + user) % self._epoch == 0:
                self._last = {}, -1
                self._numbers.clear()
            images = {name: moments[moment][name][user, position] for name in self._cameras}
            number = self._number_of(images, first_user + user, fresh)
            numbers[user, moment, position] = number
            self._last_user[number % self.capacity] = first_user + user
            self._last = images, number
        self._last = {name: image.copy() for name, image in self._last[0].items()}, self._last[1]
        self._write(fresh)
        return numbers

    def read(self, numbers: np.ndarray, variants: Mapping[str, np.ndarray] | None = None) -> dict[str, np.ndarray]:
        """The kept arrays of these frames, by name, of shape (*numbers.shape, *shape of one).

        Args:
            numbers: of the frames.
            variants: which of each frame's encodings, by name, of a shape that fits `numbers`; the first when None.
        """
        rows = numbers % self.capacity * self._variants
        return {
            name: kept.take(rows if variants is None else rows + variants[name], axis=0)
            for name, kept in self._arrays.items()
        }

    def draw_variants(self, sampler: UniformSampler, shape: tuple[int, ...]) -> dict[str, np.ndarray] | None:
        """Choose encodings for `read`, for each name apart; None, and no draw, where a frame has but one."""
        if self._variants == 1:
            return None
        return {name: sampler.integers(self._variants, shape) for name in self._arrays}

    def _number_of(self, images: Images, user: int, fresh: list[tuple[Images, int]]) -> int:
        """The number of a frame; one that is not here yet joins the `fresh` ones."""
        last, number = self._last
        reach = max(0, self.written - self._reach)
        # A transition begins where the last one ended: comparing the two takes a tenth of the time of a digest.
        if number >= reach and all(np.array_equal(images[name], last[name]) for name in self._cameras):
            return number
        digest = self._digest(images)
        number = self._numbers.get(digest, -1)
        if number < reach:
            number = self._claim(digest)
            fresh.append((images, user))
        return number

    def _digest(self, images: Images) -> bytes:
        digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
        for name in self._cameras:
            digest.update(np.ascontiguousarray(images[name]).data)
        return digest.digest()

    def _claim(self, digest: bytes) -> int:
        """The next number; whoever used the frame in its place has lost it."""
        number, slot = self.written, self.written % self.capacity
        if self._numbers.get(self._digests[slot], -1) == number - self.capacity:
            self._numbers.pop(self._digests[slot], None)
        self.forgotten = max(self.forgotten, int(self._last_user[slot]) + 1)
        self._digests[slot] = digest
        self._numbers[digest] = number
        self.written += 1
        return number

    def _write(self, fresh: Sequence[tuple[Images, int]]) -> None:
        """Fill the slots of the newest `len(fresh)` numbers; of a batch larger than the ring only its end."""
        first = self.written - len(fresh)
        kept = fresh[-self.capacity :]
        if not kept:
            return
        slots = (first + np.arange(len(fresh) - len(kept), len(fresh))) % self.capacity
        images = {name: np.stack([frame[name] for frame, _ in kept]) for name in self._cameras}
        if self._encoding is None:
            encoded: Images = {name: array[:, None] for name, array in images.items()}
        else:
            encoded = self._encoding.encode(images, np.array([user for _, user in kept]))
        for name, array in encoded.items():
            self._arrays[name].reshape(self.capacity, self._variants, *array.shape[2:])[slots] = array
