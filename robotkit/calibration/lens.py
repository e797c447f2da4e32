"""The lens of a camera: pinhole parameters and distortion, from pictures of a board."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from robotkit.calibration.boards import Sighting
from robotkit.errors import InvalidConfiguration
from robotkit.schema import Intrinsics

MIN_PICTURES = 8
_OUTLIER_FACTOR, _OUTLIER_MIN_PX = 3.0, 0.5
_TILT_MIN_RAD = np.deg2rad(8.0)
_FOCAL_DEVIATION_MAX = 0.01
"""Largest standard deviation of the focal length, as a share of it."""


@dataclass(frozen=True)
class Lens:
    """The parameters by which a camera maps directions to pixels."""

    intrinsics: Intrinsics
    distortion: tuple[float, ...] = ()
    """k1, k2, p1, p2 as OpenCV defines them; empty when the picture has none."""

    @property
    def matrix(self) -> np.ndarray:
        """The camera matrix (3, 3)."""
        lens = self.intrinsics
        return np.array([[lens.fx_px, 0.0, lens.cx_px], [0.0, lens.fy_px, lens.cy_px], [0.0, 0.0, 1.0]])

    @property
    def coefficients(self) -> np.ndarray:
        """The distortion as OpenCV's functions take it."""
        return np.array(self.distortion, dtype=np.float64)


@dataclass(frozen=True)
class LensCalibration:
    """A lens, and how well it explains the pictures."""

    lens: Lens
    size_px: tuple[int, int]
    """Width and height of the pictures."""
    corners_px: tuple[np.ndarray, ...]
    """Corners found in each picture that was kept, shape (n, 2)."""
    errors_px: tuple[np.ndarray, ...]
    """Found minus expected, shape (n, 2), of each picture that was kept."""
    rejected: tuple[int, ...]
    """Numbers of the pictures that did not fit, counted from 0."""
    focal_deviation_px: float
    """Standard deviation of the focal length."""
    tilt_rad: float
    """Root mean square angle between the board's normal and the optical axis."""

    @property
    def rms_px(self) -> float:
        """Root mean square distance between found and expected corners."""
        return float(np.sqrt(np.mean(np.sum(np.concatenate(self.errors_px) ** 2, axis=1))))


def calibrate_lens(sightings: Sequence[Sighting], size_px: tuple[int, int]) -> LensCalibration:
    """Estimate a lens with four distortion coefficients (Zhang 2000); pictures that do not fit are left out.

    Args:
        sightings: the same board in at least eight pictures, tilted in different directions.
        size_px: width and height of the pictures.

    Raises:
        InvalidConfiguration: too few pictures, or they do not determine the focal length.
    """
    kept = list(range(len(sightings)))
    while True:
        _require_enough(len(kept), len(sightings))
        found = _calibrate([sightings[i] for i in kept], size_px)
        rms_px = np.array([np.sqrt(np.mean(np.sum(error**2, axis=1))) for error in found.errors_px])
        fits = rms_px <= max(_OUTLIER_MIN_PX, _OUTLIER_FACTOR * float(np.median(rms_px)))
        if fits.all():
            break
        kept = [i for i, is_fine in zip(kept, fits, strict=True) if is_fine]
    _require_certainty(found)
    return replace(found, rejected=tuple(i for i in range(len(sightings)) if i not in kept))


def _require_enough(kept: int, given: int) -> None:
    if kept < MIN_PICTURES:
        left_out = f", {given - kept} of {given} did not fit" if kept < given else ""
        raise InvalidConfiguration(
            f"a lens needs at least {MIN_PICTURES} pictures in which the board was found; there are {kept}{left_out}"
        )


def _require_certainty(found: LensCalibration) -> None:
    share = found.focal_deviation_px / found.lens.intrinsics.fx_px
    if not share <= _FOCAL_DEVIATION_MAX or found.tilt_rad < _TILT_MIN_RAD:
        raise InvalidConfiguration(
            f"these pictures do not determine the focal length (to {100 * share:.1f} %, allowed "
            f"{100 * _FOCAL_DEVIATION_MAX:g} %; boards tilted by {np.rad2deg(found.tilt_rad):.1f} degrees root mean "
            f"square, needed {np.rad2deg(_TILT_MIN_RAD):.0f}): tilt the board by 20 to 45 degrees in several "
            "directions, and let it fill the picture and its corners"
        )


def _calibrate(sightings: Sequence[Sighting], size_px: tuple[int, int]) -> LensCalibration:
    points = [sighting.points_in_board_m.astype(np.float32) for sighting in sightings]
    corners = [sighting.corners_px.astype(np.float32) for sighting in sightings]
    try:
        _, matrix, coefficients, rotations, translations, deviations, _, _ = cv2.calibrateCameraExtended(
            points, corners, size_px, np.eye(3), np.zeros(5), flags=cv2.CALIB_FIX_K3
        )
    except cv2.error as error:
        raise InvalidConfiguration(
            "the lens cannot be computed from these pictures; does the board have the size and number of squares that "
            f"was given? ({error.err})"
        ) from error
    errors = []
    for point, sighting, rotation, translation in zip(points, sightings, rotations, translations, strict=True):
        expected, _ = cv2.projectPoints(point, rotation, translation, matrix, coefficients)
        errors.append(sighting.corners_px - expected.reshape(-1, 2))
    lens = Lens(
        Intrinsics(fx_px=matrix[0, 0], fy_px=matrix[1, 1], cx_px=matrix[0, 2], cy_px=matrix[1, 2]),
        tuple(float(value) for value in np.ravel(coefficients)[:4]),
    )
    shown = tuple(sighting.corners_px for sighting in sightings)
    normals = np.array([cv2.Rodrigues(rotation)[0][2, 2] for rotation in rotations])
    tilt_rad = float(np.sqrt(np.mean(np.arccos(np.minimum(np.abs(normals), 1.0)) ** 2)))
    return LensCalibration(lens, size_px, shown, tuple(errors), (), float(np.ravel(deviations)[0]), tilt_rad)
