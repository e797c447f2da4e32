"""Row storage: all fields of one dtype side by side in one matrix, so that reading a batch is one gather per dtype."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rl.data.schema import Field
from rl.utils.tree import FlatBatch, Path


@dataclass(frozen=True)
class _Branch:
    """One of the nested dicts of a transition."""

    prefix: Path
    """Path of the branch."""
    size: int
    """Number of its names."""
    leaves: list[tuple[str, Field, np.ndarray | None, np.ndarray]]
    """Arrays of the branch: name, field, the place of floating point numbers in the staged row, and all rows of the
    table."""


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
        staging = {dtype: np.zeros((1, width), dtype) for dtype, width in widths.items() if dtype.kind == "f"}
        self._staged = {dtype: numbers[0] for dtype, numbers in staging.items()}
        self._branches = self._plan(fields, staging)

    def write(self, rows: slice, flat: FlatBatch, source: slice) -> None:
        """Copy `source` rows of a checked batch into a run of rows."""
        for path, view in self._storage.items():
            view[rows] = flat[path][source]

    def write_one(self, row: int, transition: Mapping[str, Any]) -> bool:
        """Copy one transition into a row if it is plainly as the schema wants it; otherwise nothing is written.

        The checks are those of `TransitionSchema.flatten` at a fifth of their time. What they turn away may still be
        right, as a list is; `flatten` knows, and says what is wrong.
        """
        others: list[tuple[np.ndarray, Any]] = []
        for branch in self._branches:
            node: Any = transition
            for name in branch.prefix:
                node = node.get(name)
            if not isinstance(node, dict) or len(node) != branch.size:
                return False
            for name, field, staged, stored in branch.leaves:
                value = node.get(name)
                value = np.float64(value) if type(value) is float else value
                if not isinstance(value, (np.ndarray, np.generic)) or value.shape != field.shape:
                    return False
                if value.dtype != field.dtype and not value.dtype.kind == field.dtype.kind == "f":
                    return False
                if staged is None:
                    others.append((stored, value))
                else:
                    staged[...] = value
        if not all(np.isfinite(numbers).all() for numbers in self._staged.values()):
            return False
        for dtype, numbers in self._staged.items():
            self._matrices[dtype][row] = numbers
        for stored, value in others:
            stored[row] = value
        return True

    def _plan(self, fields: Mapping[Path, Field], staging: Mapping[np.dtype, np.ndarray]) -> list[_Branch]:
        """The nested dicts of a transition, outer ones first, with where each of their leaves goes."""
        staged = {path: view.reshape(fields[path].shape) for path, view in self._views(staging).items()}
        names: dict[Path, set[str]] = {}
        for path in fields:
            for depth, name in enumerate(path):
                names.setdefault(path[:depth], set()).add(name)
        return [
            _Branch(prefix, len(names[prefix]), [
                (path[-1], field, staged.get(path), self._storage[path])
                for path, field in fields.items() if path[:-1] == prefix
            ])
            for prefix in sorted(names, key=len)
        ]  # fmt: skip

    def read(self, indices: np.ndarray) -> FlatBatch:
        """Gather rows. The arrays are fresh, but fields of one dtype are views into one block (strided rows)."""
        return self._views({dtype: matrix.take(indices, axis=0) for dtype, matrix in self._matrices.items()})

    def _views(self, matrices: Mapping[np.dtype, np.ndarray]) -> FlatBatch:
        return {
            path: matrices[dtype][:, columns].reshape(len(matrices[dtype]), *shape)
            for path, (dtype, columns, shape) in self._columns.items()
            if dtype in matrices
        }
