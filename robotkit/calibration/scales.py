"""Checks of the given board size and lens against the motion of the arm, which is known in metres."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import least_squares

from robotkit.calibration.geometry import Estimate, View, errors_px
from robotkit.calibration.lens import Lens
from robotkit.errors import InvalidConfiguration

_POSES = 12
_ALLOWED, _SIGMAS = 0.003, 3.0
"""Detected corners lie a tenth of a pixel too far inside or outside, which is 0.2 % of a tag of 100 pixels."""


@dataclass(frozen=True)
class Scale:
    """A length as the samples show it, as a multiple of the one that was given."""

    ratio: float
    deviation: float
    """Standard deviation of the ratio."""

    @property
    def is_right(self) -> bool:
        """True when the samples do not contradict the given length."""
        return abs(self.ratio - 1.0) <= _ALLOWED + _SIGMAS * self.deviation


@dataclass(frozen=True)
class Scales:
    """The values that a hand-eye calibration assumes."""

    board: Scale
    """Scale of the board's size."""
    focal_x: Scale
    """Scale of the lens's horizontal focal length."""
    focal_y: Scale
    """Scale of the lens's vertical focal length."""
    centre_x: Scale
    """Scale of the principal point's column: one plus its distance from the given one in focal lengths."""
    centre_y: Scale
    """Scale of the principal point's row, in the same way."""
    camera_deviations: np.ndarray
    """Standard deviations (6,) of the camera's pose in its carrier, m and rad, when board and lens are known no better
    than they are asked for here."""


def measure_scales(start: Estimate, views: Sequence[View], lens: Lens) -> Scales:
    """Minimise the reprojection error over both poses, the board's size, the focal lengths and the principal point.

    All corners of a picture share the error of the arm's pose, and their spread alone says too little about how well
    the scales are known: the larger one counts of the deviation that it gives, and of what leaving out whole pictures
    changes.

    Args:
        start: near the solution.
        views: the samples.
        lens: the camera's lens.
    """

    def residuals(step: np.ndarray) -> np.ndarray:
        board = math.exp(step[_POSES])
        estimate, other = start.moved(step[:_POSES]), _other_lens(lens, step[_POSES + 1 :])
        larger = (replace(view, points_in_board_m=board * view.points_in_board_m) for view in views)
        return np.concatenate([errors_px(estimate, view, other).ravel() for view in larger])

    found = least_squares(residuals, np.zeros(_POSES + 5), x_scale="jac")
    deviations = _deviations(found.jac, found.fun, views)[_POSES:]
    ratios = np.append(np.exp(found.x[_POSES:-2]), 1.0 + found.x[-2:])
    board, focal_x, focal_y, centre_x, centre_y = (
        Scale(*map(float, scale)) for scale in zip(ratios, ratios * deviations, strict=True)
    )
    known = np.append(np.zeros(_POSES), np.full(5, 1.0 / _ALLOWED))
    camera = _deviations(found.jac, found.fun, views, known)[:6]
    return Scales(board, focal_x, focal_y, centre_x, centre_y, camera)


def require_right_scales(scales: Scales, lens: Lens) -> None:
    """Name what has to be measured again.

    Raises:
        InvalidConfiguration: the board or the lens is not what the samples show.
    """
    wrong = []
    if not scales.board.is_right:
        wrong.append(
            f"the board is {_of(scales.board)} times as large as was given: measure its printed squares, or the tag's "
            "black edge, with a caliper (a printer scales), and give that size"
        )
    focal_px = lens.intrinsics.fx_px
    departures = [
        f"the {name} focal length is {_of(scale)} times the given one"
        for name, scale in (("horizontal", scales.focal_x), ("vertical", scales.focal_y))
        if not scale.is_right
    ] + [
        f"the principal point is {(scale.ratio - 1.0) * focal_px:+z.1f} +- {scale.deviation * focal_px:.1f} px beside "
        f"the given {name}"
        for name, scale in (("cx_px", scales.centre_x), ("cy_px", scales.centre_y))
        if not scale.is_right
    ]
    if departures:
        wrong.append(
            f"{', and '.join(departures)}: calibrate the lens again (robotkit calibrate camera), with the focus and "
            "the size of the picture that the samples were taken with"
        )
    if wrong:
        raise InvalidConfiguration(f"the samples contradict what they were taken with: {'; '.join(wrong)}")


def _of(scale: Scale) -> str:
    return f"{scale.ratio:.4f} +- {scale.deviation:.4f}"


def _other_lens(lens: Lens, step: np.ndarray) -> Lens:
    """The lens after a step (4,): logarithms of both focal lengths' factors, then the principal point's way."""
    given = lens.intrinsics
    update = {
        "fx_px": math.exp(step[0]) * given.fx_px,
        "fy_px": math.exp(step[1]) * given.fy_px,
        "cx_px": given.cx_px + step[2] * given.fx_px,
        "cy_px": given.cy_px + step[3] * given.fx_px,
    }
    return replace(lens, intrinsics=given.model_copy(update=update))


def _deviations(
    jacobian: np.ndarray, residuals: np.ndarray, views: Sequence[View], known: np.ndarray | None = None
) -> np.ndarray:
    """Standard deviations of the parameters, the larger ones of two kinds.

    One takes the errors of all corners for independent; the other is the change that leaving out each view makes,
    linearised (jackknife).

    Args:
        jacobian: of the residuals.
        residuals: at the solution.
        views: the samples.
        known: how well each parameter is known beforehand, as one over its standard deviation; not at all by default.
    """
    variance = float(residuals @ residuals) / max(1, len(residuals) - jacobian.shape[1])
    information = jacobian.T @ jacobian
    if known is not None:
        information = information + variance * np.diag(known**2)
    covariance, changes = np.linalg.pinv(information), []
    ends = np.cumsum([0, *(2 * len(view.corners_px) for view in views)])
    for begin, end in itertools.pairwise(ends):
        own = jacobian[begin:end]
        changes.append(np.linalg.pinv(information - own.T @ own) @ own.T @ residuals[begin:end])
    jackknife = (len(views) - 1) / len(views) * np.sum(np.square(changes), axis=0)
    deviations: np.ndarray = np.sqrt(np.maximum(variance * np.diag(covariance), jackknife))
    return deviations
