"""Whether board and lens are as large as they were said to be: an arm that moves in metres tells both."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import least_squares

from robotkit.calibration.geometry import Estimate, View, errors_px
from robotkit.calibration.lens import Lens
from robotkit.errors import InvalidConfiguration

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
    """What a hand-eye calibration takes for granted."""

    board: Scale
    """Of the board's size."""
    focal: Scale
    """Of the lens's focal length."""


def measure_scales(start: Estimate, views: Sequence[View], lens: Lens) -> Scales:
    """Minimise the reprojection error over both poses, the board's size and the focal length.

    All corners of a picture share the error of the arm's pose, and their spread alone says too little about how well
    the scales are known: the larger one counts of the deviation that it gives, and of what leaving out whole pictures
    changes.

    Args:
        start: near the solution.
        views: the samples.
        lens: the camera's lens.
    """

    def residuals(step: np.ndarray) -> np.ndarray:
        board, focal = np.exp(step[12:])
        estimate, wider = start.moved(step[:12]), _with_focal_length(lens, focal)
        larger = (replace(view, points_in_board_m=board * view.points_in_board_m) for view in views)
        return np.concatenate([errors_px(estimate, view, wider).ravel() for view in larger])

    found = least_squares(residuals, np.zeros(14), x_scale="jac")
    deviations = np.maximum(_by_corners(found.jac, found.fun), _by_pictures(found.jac, found.fun, views))[12:]
    ratios = np.exp(found.x[12:])
    return Scales(*(Scale(*map(float, scale)) for scale in zip(ratios, ratios * deviations, strict=True)))


def require_right_scales(scales: Scales) -> None:
    """Name what has to be measured again.

    Raises:
        InvalidConfiguration: the board's size or the focal length is not what the samples show.
    """
    wrong = []
    if not scales.board.is_right:
        wrong.append(
            f"the board is {_of(scales.board)} times as large as was given: measure its printed squares, or the tag's "
            "black edge, with a caliper (a printer scales), and give that size"
        )
    if not scales.focal.is_right:
        wrong.append(
            f"the focal length is {_of(scales.focal)} times the given one: calibrate the lens again "
            "(robotkit calibrate camera), with the focus and the size of the picture that the samples were taken with"
        )
    if wrong:
        raise InvalidConfiguration(f"the samples contradict what they were taken with: {'; '.join(wrong)}")


def _of(scale: Scale) -> str:
    return f"{scale.ratio:.4f} +- {scale.deviation:.4f}"


def _with_focal_length(lens: Lens, factor: float) -> Lens:
    given = lens.intrinsics
    wider = given.model_copy(update={"fx_px": factor * given.fx_px, "fy_px": factor * given.fy_px})
    return replace(lens, intrinsics=wider)


def _by_corners(jacobian: np.ndarray, residuals: np.ndarray) -> np.ndarray:
    """Standard deviations of the parameters when the errors of all corners are independent."""
    variance = float(residuals @ residuals) / max(1, len(residuals) - jacobian.shape[1])
    return np.sqrt(variance * np.diag(np.linalg.pinv(jacobian.T @ jacobian)))


def _by_pictures(jacobian: np.ndarray, residuals: np.ndarray, views: Sequence[View]) -> np.ndarray:
    """The same from the change that leaving out each view makes, linearised (jackknife)."""
    ends = np.cumsum([0, *(2 * len(view.corners_px) for view in views)])
    information, changes = jacobian.T @ jacobian, []
    for begin, end in itertools.pairwise(ends):
        own = jacobian[begin:end]
        changes.append(np.linalg.pinv(information - own.T @ own) @ own.T @ residuals[begin:end])
    return np.sqrt((len(views) - 1) / len(views) * np.sum(np.square(changes), axis=0))
