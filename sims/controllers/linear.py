"""Small dense linear algebra for 6x6 and 7x7 systems, without allocation."""

from __future__ import annotations

import math

import numpy as np

from sims.controllers.compiled import compiled


@compiled
def cholesky(matrix: np.ndarray, lower: np.ndarray) -> float:
    """Factor a symmetric positive definite (n, n) matrix into `lower` @ lower.T.

    Returns:
        The determinant of `matrix`, or 0.0 when it is not positive definite (`lower` is then useless).
    """
    determinant = 1.0
    for i in range(matrix.shape[0]):
        for j in range(i + 1):
            rest = matrix[i, j]
            for k in range(j):
                rest -= lower[i, k] * lower[j, k]
            if i != j:
                lower[i, j] = rest / lower[j, j]
            elif rest <= 0.0:
                return 0.0
            else:
                lower[i, i] = math.sqrt(rest)
                determinant *= rest
    return determinant


@compiled
def solve_lower(lower: np.ndarray, vector: np.ndarray) -> None:
    """Replace `vector` (n,) by inverse(lower) @ vector."""
    for i in range(vector.shape[0]):
        rest = vector[i]
        for k in range(i):
            rest -= lower[i, k] * vector[k]
        vector[i] = rest / lower[i, i]


@compiled
def solve_lower_transposed(lower: np.ndarray, vector: np.ndarray) -> None:
    """Replace `vector` (n,) by inverse(lower.T) @ vector."""
    n = vector.shape[0]
    for i in range(n - 1, -1, -1):
        rest = vector[i]
        for k in range(i + 1, n):
            rest -= lower[k, i] * vector[k]
        vector[i] = rest / lower[i, i]


@compiled
def truncated_pseudo_inverse(matrix: np.ndarray, cutoff: float, vector: np.ndarray) -> None:
    """Replace `vector` by pinv(matrix) @ vector for a symmetric matrix.

    Directions whose eigenvalue is below `cutoff` times the largest one give nothing.
    """
    values, axes = np.linalg.eigh(matrix.copy())
    largest = np.max(np.abs(values))
    along = axes.T @ vector.copy()
    for i in range(values.shape[0]):
        along[i] = along[i] / values[i] if abs(values[i]) > cutoff * largest else 0.0
    vector[:] = axes @ along
