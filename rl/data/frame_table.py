"""FrameTable: the images of a journal, each stored once and without loss, compressed."""

from __future__ import annotations

import hashlib
import sqlite3
import zlib
from collections.abc import Sequence

import numpy as np

from rl.data.codec import decode, encode

TABLE = """
CREATE TABLE frames (number INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, image BLOB NOT NULL)
"""

_DIGEST_BYTES = 16
_LEVEL = 1  # level 6 takes three times as long and saves a fifth: measured on rendered images of 128 x 128
_VARIABLES = 500  # SQLite allows 999 in one statement


def is_images(array: np.ndarray) -> bool:
    """True for uint8 (N, ..., height, width, channels): what the table takes."""
    return array.dtype == np.uint8 and array.ndim >= 4


class FrameTable:
    """Images by number; an image that is stored already keeps its number when it is added again.

    A transition shares nearly all its images with the one before; so its images take a tenth of their size or less.

    Args:
        connection: of the journal; the caller holds the transaction.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def store(self, images: np.ndarray) -> np.ndarray:
        """Numbers (N, ...) of images (N, ..., height, width, channels)."""
        lead = images.shape[:-3]
        numbers = [self._number_of(encode(image)) for image in images.reshape(-1, *images.shape[-3:])]
        return np.array(numbers, dtype=np.int64).reshape(lead)

    def load(self, numbers: np.ndarray) -> np.ndarray:
        """The images (N, ..., height, width, channels) of numbers (N, ...), as they were stored."""
        wanted, places = np.unique(numbers, return_inverse=True)
        return np.stack(self._images(wanted.tolist()))[places.reshape(numbers.shape)]

    def _number_of(self, image: bytes) -> int:
        digest = hashlib.blake2b(image, digest_size=_DIGEST_BYTES).digest()
        known = self._connection.execute("SELECT number FROM frames WHERE digest = ?", (digest,)).fetchone()
        if known:
            return int(known[0])
        row = (digest, zlib.compress(image, _LEVEL))
        number = self._connection.execute("INSERT INTO frames (digest, image) VALUES (?, ?)", row).lastrowid
        assert number is not None
        return number

    def _images(self, numbers: Sequence[int]) -> list[np.ndarray]:
        """Images in ascending order of these numbers."""
        found: list[np.ndarray] = []
        for start in range(0, len(numbers), _VARIABLES):
            some = numbers[start : start + _VARIABLES]
            query = f"SELECT image FROM frames WHERE number IN ({','.join('?' * len(some))}) ORDER BY number"
            found += [decode(zlib.decompress(row[0])) for row in self._connection.execute(query, some)]
        return found
