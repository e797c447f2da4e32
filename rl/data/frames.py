"""FrameStore: a ring of camera frames, each stored once and named by a number that is never used again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from rl.data.schema import Field


class FrameStore:
    """Keeps the newest frames. A frame is what all cameras saw at one moment; its number counts from 0 for ever.

    Args:
        cameras: shape and dtype of one image, by camera.
        capacity: number of frames kept.
    """

    def __init__(self, cameras: Mapping[str, Field], capacity: int) -> None:
        self.capacity = capacity
        self.written = 0
        self._images = {name: np.zeros((capacity, *camera.shape), camera.dtype) for name, camera in cameras.items()}

    @property
    def oldest(self) -> int:
        """Number of the oldest frame that is still here."""
        return max(0, self.written - self.capacity)

    def place(self, stacks: Mapping[str, np.ndarray], guesses: Sequence[int]) -> np.ndarray:
        """Name the frames of a stack, storing only those that are not here yet.

        Args:
            stacks: (frames, ...) images by camera, oldest first.
            guesses: for each frame the number that it probably has, or -1. A guess is believed only when every pixel
                agrees, so that a wrong one costs memory and never a wrong image.

        Returns:
            (frames,) numbers.
        """
        numbers = np.empty(len(guesses), dtype=np.int64)
        previous = -1
        for position, guess in enumerate(guesses):
            frame = {name: stack[position] for name, stack in stacks.items()}
            known = next((number for number in (guess, previous) if self._holds(number, frame)), None)
            numbers[position] = previous = self._write(frame) if known is None else known
        return numbers

    def read(self, numbers: np.ndarray) -> dict[str, np.ndarray]:
        """Images by camera, of shape (*numbers.shape, *image shape)."""
        rows = numbers % self.capacity
        return {name: images.take(rows, axis=0) for name, images in self._images.items()}

    def _holds(self, number: int, frame: Mapping[str, np.ndarray]) -> bool:
        if number < self.oldest:
            return False
        row = number % self.capacity
        return all(np.array_equal(self._images[name][row], image) for name, image in frame.items())

    def _write(self, frame: Mapping[str, np.ndarray]) -> int:
        for name, image in frame.items():
            self._images[name][self.written % self.capacity] = image
        self.written += 1
        return self.written - 1
