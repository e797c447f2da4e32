"""OpenCV's closed-form solutions of the hand-eye problem."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import cv2
import numpy as np

from robotkit import spatial
from robotkit.calibration.geometry import Estimate, View, mean_pose
from robotkit.errors import MissingExtra

Solver = Callable[[Sequence[View]], Estimate]
"""Function that solves a hand-eye problem, or raises `NoSolution`."""


class NoSolution(ValueError):
    """A method found no pose for these samples."""


def solvers() -> Mapping[str, Solver]:
    """Every method, by the name of its authors.

    Raises:
        MissingExtra: this build of OpenCV lacks them.
    """
    hand_eye, robot_world = (getattr(cv2, name, None) for name in ("calibrateHandEye", "calibrateRobotWorldHandEye"))
    if hand_eye is None or robot_world is None:
        raise MissingExtra(
            f"OpenCV {cv2.__version__} lacks calibrateHandEye in its Python package (its issue 29565). Try: "
            "pip install 'opencv-python-headless>=4.8,!=5.0.0.*'"
        )
    return {
        "Tsai": partial(_hand_eye, partial(hand_eye, method=cv2.CALIB_HAND_EYE_TSAI)),
        "Park": partial(_hand_eye, partial(hand_eye, method=cv2.CALIB_HAND_EYE_PARK)),
        "Horaud": partial(_hand_eye, partial(hand_eye, method=cv2.CALIB_HAND_EYE_HORAUD)),
        "Daniilidis": partial(_hand_eye, partial(hand_eye, method=cv2.CALIB_HAND_EYE_DANIILIDIS)),
        "Shah": partial(_robot_world, partial(robot_world, method=cv2.CALIB_ROBOT_WORLD_HAND_EYE_SHAH)),
        "Li": partial(_robot_world, partial(robot_world, method=cv2.CALIB_ROBOT_WORLD_HAND_EYE_LI)),
    }


def _hand_eye(solve: Callable[..., Any], views: Sequence[View]) -> Estimate:
    """A X = X B: the camera first, the board as the mean over the views."""
    rotation, translation = _ask(
        solve, [view.carrier_in_stage for view in views], [view.board_in_camera for view in views]
    )
    camera = _pose(rotation, translation)
    boards = [spatial.compose(spatial.compose(view.carrier_in_stage, camera), view.board_in_camera) for view in views]
    return Estimate(camera, mean_pose(boards))


def _robot_world(solve: Callable[..., Any], views: Sequence[View]) -> Estimate:
    """A X = Z B: both poses at once. OpenCV's world is the board, its gripper the carrier, its base the stage."""
    stage_rotation, stage_translation, carrier_rotation, carrier_translation = _ask(
        solve,
        [view.board_in_camera for view in views],
        [spatial.inverse(view.carrier_in_stage) for view in views],
    )
    stage_in_board = _pose(stage_rotation, stage_translation)
    carrier_in_camera = _pose(carrier_rotation, carrier_translation)
    return Estimate(spatial.inverse(carrier_in_camera), spatial.inverse(stage_in_board))


def _ask(
    solve: Callable[..., Any], first: Sequence[np.ndarray], second: Sequence[np.ndarray]
) -> tuple[np.ndarray, ...]:
    """Return OpenCV's answer for two rows of poses (7,)."""
    try:
        answer: tuple[np.ndarray, ...] = solve(*_split(first), *_split(second))
    except cv2.error as error:
        raise NoSolution(error.err) from error
    return answer


def _split(poses: Sequence[np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    return [spatial.matrix_from_quaternion(pose[3:]) for pose in poses], [pose[:3] for pose in poses]


def _pose(rotation: np.ndarray, translation: np.ndarray) -> np.ndarray:
    """Return the pose. OpenCV answers samples that contradict each other with numbers that are no pose."""
    matrix, position_m = np.asarray(rotation), np.ravel(translation)
    if not (np.isfinite(matrix).all() and np.isfinite(position_m).all() and np.linalg.det(matrix) > 0.0):
        raise NoSolution
    return spatial.make_pose(position_m, spatial.quaternion_from_matrix(matrix))
