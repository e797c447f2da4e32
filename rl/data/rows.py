"""Row storage: all fields of one dtype side by side in one matrix, so that reading a batch is one gather per dtype."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from rl.data.schema import Field, FlatBatch, Path


class RowStore:
    """A table with `capacity` rows and the columns of a schema.

    A state transition is a few dozen float32 numbers: read field by field, a batch of 2048 would touch the memory once
    per field; side by side it is one pass. Images are uint8 and share a second matrix.
    """

    def __init__(self, fields: Mapping[Path, Field], capacity: int) -> None:
        self._columns: dict[Path, tuple[np.dtype, slice, tuple[int, ...]]] = {}
        widths: dict[np.dtype, int] = {}
        for path, field in fields.items():
            start = widths.get(field.dtype, 0)
            widths[field.dtype] = start + math.prod(field.shape)
            self._columns[path] = (field.dtype, slice(start, widths[field.dtype]), field.shape)
        self._matrices = {dtype: np.zeros((capacity, width), dtype) for dtype, width in widths.items()}
        self._storage = self._views(self._matrices)

    def write(self, rows: slice, flat: FlatBatch, source: slice) -> None:
        """Copy `source` rows of a checked batch into a run of rows."""
        for path, view in self._storage.items():
            view[rows] = flat[path][source]

    def read(self, indices: np.ndarray) -> FlatBatch:
        """Gather rows. The arrays are fresh, but fields of one dtype are views into one block (strided rows)."""
        return self._views({dtype: matrix.take(indices, axis=0) for dtype, matrix in self._matrices.items()})

    def _views(self, matrices: Mapping[np.dtype, np.ndarray]) -> FlatBatch:
        return {
            path: matrices[dtype][:, columns].reshape(len(matrices[dtype]), *shape)
            for path, (dtype, columns, shape) in self._columns.items()
        }
