"""Samples from a cell's camera and arm: a person moves the arm, the capture only reads."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import cv2
import numpy as np

from robotkit import spatial
from robotkit.calibration.boards import Board, Sighting
from robotkit.calibration.recording import HandEyeSample
from robotkit.devices import BaseCamera
from robotkit.errors import DeviceError, InvalidConfiguration, RemoteError, StaleState
from robotkit.schema import Frame
from robotkit.workcell import Workcell

Say = Callable[[str], None]
Ask = Callable[[int], bool]
"""Waits for a person; told how many samples there are; False ends the capture."""

_FRESH_FRAME_S, _FRESH_STATE_S = 2.0, 0.5
_STILL_M, _STILL_RAD = 0.0005, np.deg2rad(0.1)
"""How far the tool may move while a sample is taken."""
_PERIOD_S = 0.005


@contextmanager
def connected(cell: Workcell, camera: str, with_robot: bool) -> Iterator[BaseCamera]:
    """The camera, with the arm when it is needed; the cell's other devices stay closed.

    Raises:
        InvalidConfiguration: the cell has no such camera.
    """
    if camera not in cell.cameras:
        raise InvalidConfiguration(f"the cell has no camera {camera!r}; it has: {', '.join(cell.cameras) or 'none'}")
    with cell.only(cell.robot if with_robot else None, cell.cameras[camera]):
        yield cell.cameras[camera]


def fresh_frame(cell: Workcell, camera: BaseCamera) -> Frame:
    """A frame that was exposed after this call.

    Raises:
        StaleState: there is none within two seconds.
    """
    asked_s, end_s = cell.clock.now_s(), time.monotonic() + _FRESH_FRAME_S
    while True:
        frame = camera.read()
        if cell.clock.is_lockstep or frame.stamp_s >= asked_s:
            return frame
        if time.monotonic() > end_s:
            raise StaleState(f"camera {camera.spec.name!r} sent no new frame in {_FRESH_FRAME_S:g} s; check its cable")
        time.sleep(_PERIOD_S)


def _measured_pose(cell: Workcell) -> np.ndarray:
    """Where the tool is now; an arm that stands still for its own controller may have lost its connection unseen."""
    now_s, state = cell.clock.now_s(), cell.robot.get_state()
    age_s = now_s - state.stamp_s
    if not cell.clock.is_lockstep and age_s > _FRESH_STATE_S:
        raise StaleState(f"the arm has measured nothing for {age_s:.1f} s; check its cable and its controller")
    return state.tcp_pose_in_base


def find_board(frame: Frame, board: Board) -> Sighting | None:
    """The board in a frame."""
    return board.find(cv2.cvtColor(frame.rgb, cv2.COLOR_RGB2GRAY))


def take_sample(cell: Workcell, camera: BaseCamera, board: Board) -> HandEyeSample | str:
    """One sample of a hand-eye calibration, or a sentence that says why there is none."""
    before = _measured_pose(cell)
    frame = fresh_frame(cell, camera)
    after = _measured_pose(cell)
    moved_m, moved_rad = spatial.distance_between(before, after), spatial.angle_between(before[3:], after[3:])
    if moved_m > _STILL_M or moved_rad > _STILL_RAD:
        return (
            f"the tool moved by {1e3 * moved_m:.1f} mm and {np.rad2deg(moved_rad):.2f} degrees meanwhile; "
            "let it rest before you press the key"
        )
    sighting = find_board(frame, board)
    if sighting is None:
        return "the board is not in sight, or too far away, too dark or blurred"
    return HandEyeSample(
        tcp_pose_in_base=spatial.interpolate(before, after, 0.5),
        points_in_board_m=sighting.points_in_board_m,
        corners_px=sighting.corners_px,
    )


def capture_samples(cell: Workcell, camera: BaseCamera, board: Board, ask: Ask, say: Say) -> tuple[HandEyeSample, ...]:
    """Take a sample each time that a person asks for one. No command is sent to the arm."""
    samples: list[HandEyeSample] = []
    while ask(len(samples)):
        try:
            taken = take_sample(cell, camera, board)
        except (DeviceError, RemoteError) as error:
            taken = error.message
        if isinstance(taken, str):
            say(f"not taken: {taken}")
        else:
            samples.append(taken)
    return tuple(samples)


def capture_sightings(cell: Workcell, camera: BaseCamera, board: Board, ask: Ask, say: Say) -> list[Sighting]:
    """Take a picture of the board each time that a person asks for one."""
    sightings: list[Sighting] = []
    while ask(len(sightings)):
        try:
            sighting = find_board(fresh_frame(cell, camera), board)
        except (DeviceError, RemoteError) as error:
            say(f"not taken: {error.message}")
            continue
        if sighting is None:
            say("not taken: the board is not in sight, or too far away, too dark or blurred")
        else:
            sightings.append(sighting)
    return sightings
