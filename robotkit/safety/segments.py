"""Distances between line segments, for many pairs at once."""

from __future__ import annotations

import numpy as np

_TINY = 1e-24
"""m^2: keeps a segment of length 0 from a division by zero."""
_PARALLEL = 1e-12


def segment_distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Distances in m between segments, each given by its two ends: (..., 2, 3), (..., 2, 3) -> (...).

    The closest points of the two lines, clamped to the segments one after the other (Ericson, Real-Time Collision
    Detection, 2005, section 5.1.9).
    """
    vectors = np.stack((first[..., 1, :] - first[..., 0, :], second[..., 1, :] - second[..., 0, :],
                        first[..., 0, :] - second[..., 0, :]), axis=-2)  # fmt: skip
    u, v, _ = np.moveaxis(vectors, -2, 0)
    products = vectors @ vectors.swapaxes(-1, -2)
    uu, vv = products[..., 0, 0] + _TINY, products[..., 1, 1] + _TINY
    uv, uw, vw = products[..., 0, 1], products[..., 0, 2], products[..., 1, 2]
    determinant = uu * vv - uv * uv
    is_parallel = determinant <= _PARALLEL * uu * vv
    s = np.where(is_parallel, 0.0, (uv * vw - uw * vv) / np.where(is_parallel, 1.0, determinant))
    t = ((uv * _clamped(s)) + vw) / vv
    t = _clamped(t)
    s = _clamped((uv * t - uw) / uu)
    gap = vectors[..., 2, :] + s[..., None] * u - t[..., None] * v
    distances: np.ndarray = np.sqrt((gap * gap).sum(axis=-1))
    return distances


def _clamped(fraction: np.ndarray) -> np.ndarray:
    clamped: np.ndarray = np.minimum(np.maximum(fraction, 0.0), 1.0)
    return clamped
