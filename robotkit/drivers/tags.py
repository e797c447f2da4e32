"""Printed tags in a picture: their families, their corners, and the positions of the corners on the paper."""

from __future__ import annotations

import cv2
import numpy as np

from robotkit.drivers.tag_families import Family

DICTIONARIES: dict[str, int] = {
    "tag16h5": cv2.aruco.DICT_APRILTAG_16h5,
    "tag25h9": cv2.aruco.DICT_APRILTAG_25h9,
    "tag36h10": cv2.aruco.DICT_APRILTAG_36h10,
    "tag36h11": cv2.aruco.DICT_APRILTAG_36h11,
    "4x4_50": cv2.aruco.DICT_4X4_50,
    "4x4_100": cv2.aruco.DICT_4X4_100,
    "5x5_100": cv2.aruco.DICT_5X5_100,
    "6x6_250": cv2.aruco.DICT_6X6_250,
    "original": cv2.aruco.DICT_ARUCO_ORIGINAL,
}

DISTORTION_LENGTHS = (0, 4, 5, 8, 12, 14)
"""Numbers of coefficients that OpenCV's lens models have."""


def tag_count(family: Family) -> int:
    """The number of tags in a family; tags are numbered from 0."""
    return len(cv2.aruco.getPredefinedDictionary(DICTIONARIES[family]).bytesList)


def corners_in_tag_m(size_m: float) -> np.ndarray:
    """The corners (4, 3) of a tag in its own frame, in the order in which they are found.

    x runs right and y up on the print, z looks out of the paper; the origin is the centre.
    """
    return size_m / 2.0 * np.array([[-1, 1, 0], [1, 1, 0], [1, -1, 0], [-1, -1, 0]], dtype=np.float64)


class TagDetector:
    """Finds one tag, its corners to a fraction of a pixel."""

    def __init__(self, family: Family, tag_id: int) -> None:
        parameters = cv2.aruco.DetectorParameters()
        parameters.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_SUBPIX
        dictionary = cv2.aruco.getPredefinedDictionary(DICTIONARIES[family])
        self._detector = cv2.aruco.ArucoDetector(dictionary, parameters)
        self._tag_id = tag_id

    def find(self, grey: np.ndarray) -> np.ndarray | None:
        """Corners (4, 2) in pixels, clockwise from the upper left of the print; None when it is not in sight."""
        corners, ids, _ = self._detector.detectMarkers(grey)
        found = [] if ids is None else ids.ravel().tolist()
        if self._tag_id not in found:
            return None
        return np.asarray(corners[found.index(self._tag_id)], dtype=np.float64).reshape(4, 2)
