"""Calibration boards: a printed tag, a ChArUco board or a chessboard."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import cv2
import numpy as np

from robotkit.drivers.tag_families import Family
from robotkit.drivers.tags import DICTIONARIES, TagDetector, corners_in_tag_m, tag_count
from robotkit.errors import InvalidConfiguration

_MIN_CORNERS = 6
_EDGE_MAX_M = 2.0


@dataclass(frozen=True)
class Sighting:
    """A board in one picture."""

    points_in_board_m: np.ndarray
    """Shape (n, 3): the corners that were found, in the board's own frame; all of them have z = 0."""
    corners_px: np.ndarray
    """Shape (n, 2): where they are in the picture; a pixel's centre has whole coordinates."""


class Board(ABC):
    """A flat target with corners that are known to a tenth of a millimetre."""

    has_one_pose = True
    """False when it looks the same after half a turn, so that its pose is ambiguous."""

    @abstractmethod
    def find(self, grey: np.ndarray) -> Sighting | None:
        """Look for it in a picture, uint8 (height, width); None when too little of it is in sight."""


class TagBoard(Board):
    """A single AprilTag or ArUco marker; `size_m` is the edge of its black square.

    Raises:
        InvalidConfiguration: the family has no such tag.
    """

    def __init__(self, family: Family, tag_id: int, size_m: float) -> None:
        _require_lengths_of_a_lab(size_m)
        if not 0 <= tag_id < tag_count(family) or size_m <= 0.0:
            raise InvalidConfiguration(
                f"a tag of {family} has a number from 0 to {tag_count(family) - 1} and an edge; got {tag_id} and "
                f"{size_m:g} m"
            )
        self._detector = TagDetector(family, tag_id)
        self._points_m = corners_in_tag_m(size_m)

    def find(self, grey: np.ndarray) -> Sighting | None:
        """All four corners, or nothing."""
        corners_px = self._detector.find(grey)
        return None if corners_px is None else Sighting(self._points_m, corners_px)


class CharucoBoard(Board):
    """A chessboard with markers in its white squares: it may be half hidden, and its pose is unique.

    Args:
        columns: number of squares along its x axis.
        rows: number of squares along its y axis.
        square_m: edge of a square.
        marker_m: edge of a marker.
        family: the markers' family.

    Raises:
        InvalidConfiguration: a board of these sizes cannot exist.
    """

    def __init__(self, columns: int, rows: int, square_m: float, marker_m: float, family: Family) -> None:
        _require_lengths_of_a_lab(square_m)
        if min(columns, rows) < 3 or not 0.0 < marker_m < square_m:
            raise InvalidConfiguration(
                f"a ChArUco board has at least 3x3 squares, and markers smaller than its squares; got {columns}x{rows} "
                f"squares of {square_m:g} m with markers of {marker_m:g} m"
            )
        dictionary = cv2.aruco.getPredefinedDictionary(DICTIONARIES[family])
        if (columns * rows) // 2 > tag_count(family):
            raise InvalidConfiguration(f"family {family!r} has too few markers for {columns}x{rows} squares")
        self.board = cv2.aruco.CharucoBoard((columns, rows), square_m, marker_m, dictionary)
        self._detector = cv2.aruco.CharucoDetector(self.board)

    def find(self, grey: np.ndarray) -> Sighting | None:
        """The corners between squares whose markers were read."""
        corners, ids, _, _ = self._detector.detectBoard(grey)
        if ids is None or len(ids) < _MIN_CORNERS:
            return None
        points_m = np.asarray(self.board.getChessboardCorners(), dtype=np.float64)[np.ravel(ids)]
        if np.linalg.matrix_rank(points_m - points_m[0], tol=1e-9) < 2:  # corners in one line give no pose
            return None
        return Sighting(points_m, np.asarray(corners, dtype=np.float64).reshape(-1, 2))


class Chessboard(Board):
    """A plain chessboard; `columns` and `rows` count its inner corners."""

    has_one_pose = False

    def __init__(self, columns: int, rows: int, square_m: float) -> None:
        _require_lengths_of_a_lab(square_m)
        if min(columns, rows) < 3 or square_m <= 0.0:
            raise InvalidConfiguration(
                f"a chessboard has at least 3x3 inner corners and squares with an edge; got {columns}x{rows} corners "
                f"and {square_m:g} m"
            )
        self._size = (columns, rows)
        grid = np.mgrid[0:columns, 0:rows].T.reshape(-1, 2).astype(np.float64) * square_m
        self._points_m = np.column_stack((grid, np.zeros(len(grid))))

    def find(self, grey: np.ndarray) -> Sighting | None:
        """All inner corners, or nothing."""
        is_found, corners = cv2.findChessboardCornersSB(grey, self._size, flags=cv2.CALIB_CB_ACCURACY)
        if not is_found:
            return None
        return Sighting(self._points_m, np.asarray(corners, dtype=np.float64).reshape(-1, 2))


def _require_lengths_of_a_lab(edge_m: float) -> None:
    if not edge_m <= _EDGE_MAX_M:
        raise InvalidConfiguration(f"an edge of {edge_m:g} m is longer than {_EDGE_MAX_M:g} m; give it in metres")
