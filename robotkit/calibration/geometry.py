"""The hand-eye problem in one form: a moving frame, a camera in it, and a board that stands still."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from scipy.optimize import least_squares

from robotkit import spatial
from robotkit.calibration.lens import Lens
from robotkit.calibration.recording import HandEyeSample, Mount


@dataclass(frozen=True)
class View:
    """One sample.

    The carrier is the frame that the camera is fixed to, the stage the frame that the board is fixed to: tool and base
    for a camera on the hand, base and tool for a camera that watches the hand.
    """

    carrier_in_stage: np.ndarray
    """Pose (7,), measured by the arm."""
    points_in_board_m: np.ndarray
    corners_px: np.ndarray
    board_in_camera: np.ndarray
    """Pose (7,), from this picture alone: its orientation is the weak part."""


@dataclass(frozen=True)
class Estimate:
    """The two unknown poses (7,) of a hand-eye problem."""

    camera_in_carrier: np.ndarray
    board_in_stage: np.ndarray

    def board_in_camera(self, carrier_in_stage: np.ndarray) -> np.ndarray:
        """The pose at which the camera should see the board."""
        camera_in_stage = spatial.compose(carrier_in_stage, self.camera_in_carrier)
        return spatial.relative_pose(camera_in_stage, self.board_in_stage)

    def moved(self, step: np.ndarray) -> Estimate:
        """The poses after a step (12,): the camera's translation in m and rotation vector in rad, then the board's."""
        return Estimate(
            spatial.integrate_delta(self.camera_in_carrier, step[:3], step[3:6]),
            spatial.integrate_delta(self.board_in_stage, step[6:9], step[9:]),
        )


def make_view(sample: HandEyeSample, mount: Mount, lens: Lens) -> View | None:
    """A recorded sample in this form; None when its corners show no pose."""
    tcp_in_base = sample.tcp_pose_in_base
    if np.linalg.matrix_rank(sample.corners_px - sample.corners_px.mean(axis=0), tol=1.0) < 2:
        return None
    try:
        is_solved, rotation, translation = cv2.solvePnP(
            sample.points_in_board_m, sample.corners_px, lens.matrix, lens.coefficients, flags=cv2.SOLVEPNP_IPPE
        )
    except cv2.error:  # its own checks of degenerate points
        return None
    if not (is_solved and np.isfinite(rotation).all() and np.isfinite(translation).all()):
        return None
    return View(
        carrier_in_stage=tcp_in_base if mount == "tcp" else spatial.inverse(tcp_in_base),
        points_in_board_m=sample.points_in_board_m,
        corners_px=sample.corners_px,
        board_in_camera=spatial.make_pose(
            translation.ravel(), spatial.quaternion_from_rotation_vector(rotation.ravel())
        ),
    )


def errors_px(estimate: Estimate, view: View, lens: Lens) -> np.ndarray:
    """Found minus expected corners of a view, shape (n, 2)."""
    board = estimate.board_in_camera(view.carrier_in_stage)
    expected, _ = cv2.projectPoints(
        view.points_in_board_m, spatial.rotation_vector_from_quaternion(board[3:]), board[:3], lens.matrix,
        lens.coefficients,
    )  # fmt: skip
    missed_px: np.ndarray = view.corners_px - expected.reshape(-1, 2)
    return missed_px


def rms_px(estimate: Estimate, views: Sequence[View], lens: Lens) -> np.ndarray:
    """Root mean square error of each view's corners, shape (len(views),)."""
    return np.array([np.sqrt(np.mean(np.sum(errors_px(estimate, view, lens) ** 2, axis=1))) for view in views])


def refine(start: Estimate, views: Sequence[View], lens: Lens) -> Estimate:
    """Minimise the reprojection error of all corners over both poses.

    Args:
        start: near the solution.
        views: the samples.
        lens: the camera's lens.
    """

    def residuals(step: np.ndarray) -> np.ndarray:
        estimate = start.moved(step)
        return np.concatenate([errors_px(estimate, view, lens).ravel() for view in views])

    return start.moved(least_squares(residuals, np.zeros(12), x_scale="jac").x)


def mean_pose(poses: Sequence[np.ndarray]) -> np.ndarray:
    """A mean (7,) of nearby poses: of positions by axis, of orientations as the nearest quaternion (Markley 2007)."""
    stacked = np.array(poses)
    _, vectors = np.linalg.eigh(stacked[:, 3:].T @ stacked[:, 3:])
    return spatial.make_pose(stacked[:, :3].mean(axis=0), vectors[:, -1])
