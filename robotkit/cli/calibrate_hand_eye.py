"""The procedure of `robotkit calibrate hand-eye`."""

from __future__ import annotations

import numpy as np

from robotkit.calibration.boards import Board
from robotkit.calibration.capture import capture_samples, connected
from robotkit.calibration.cell_file import CellFile
from robotkit.calibration.hand_eye import HandEye, calibrate_hand_eye
from robotkit.calibration.pictures import draw_hand_eye
from robotkit.calibration.recording import HandEyeRecording, load_recording, save_recording
from robotkit.cli.calibrate import HandEyeCalibration
from robotkit.cli.calibration_session import (
    ask,
    beside_cell,
    make_board,
    open_file,
    picture_path,
    require_writable,
    say,
    show_table,
)
from robotkit.cli.interruptible import interruptible
from robotkit.cli.reading import keep_from_control
from robotkit.errors import InvalidConfiguration


def run(options: HandEyeCalibration) -> int:
    """Collect samples, solve, write.

    Raises:
        InvalidConfiguration: an option is wrong, or the samples do not determine the pose; the workcell file is as it
            was.
    """
    file, picture = open_file(options), picture_path(options, "hand_eye")
    if not options.print_only and not file.trackers():
        raise InvalidConfiguration(
            f'{options.cell} has no tracker that looks through {options.camera!r}; add one (type = "apriltag", '
            f'camera = "{options.camera}"), or let --print-only print the pose'
        )
    if options.samples is None:
        recording = _capture(options, file, _unambiguous(options))
    else:
        recording = load_recording(options.samples)
    found = calibrate_hand_eye(recording)
    _report(found)
    draw_hand_eye(found, picture)
    say(f"residuals: {picture}")
    if not options.print_only:
        file = open_file(options)  # again: it may have been edited while samples were taken
        file.set_mount(found.mount, found.camera_pose_in_mount)
        file.save()
        say(f"{file.path}: camera pose written into {', '.join(file.trackers())}")
    return 0


def _unambiguous(options: HandEyeCalibration) -> Board:
    board = make_board(options)
    if not board.has_one_pose:
        raise InvalidConfiguration(
            "a plain chessboard looks the same after half a turn, so its pose is ambiguous; use --board charuco or tag"
        )
    return board


def _capture(options: HandEyeCalibration, file: CellFile, board: Board) -> HandEyeRecording:
    """Take samples and keep them, whatever comes out of them."""
    kept_in = options.save_samples or beside_cell(options, "samples.json")
    require_writable(kept_in)
    cell = options.open_cell()
    keep_from_control(cell.robot, "robotkit calibrate hand-eye")
    with interruptible(), connected(cell, options.camera, with_robot=True) as camera:
        intrinsics = camera.spec.intrinsics
        if intrinsics is None:
            raise InvalidConfiguration(
                f"camera {options.camera!r} does not know its intrinsics; run `robotkit calibrate camera` first"
            )
        say("Bring the hand to a new place, turned by 20 degrees or more about another axis, let it rest, press Enter.")
        samples = capture_samples(cell, camera, board, ask, say)
        recording = HandEyeRecording(
            mount=options.mount, intrinsics=intrinsics, distortion=file.distortion(), samples=samples
        )
        if samples:  # before the camera is closed, which may fail
            save_recording(kept_in, recording)
            say(f"samples, for --samples: {kept_in}")
    return recording


def _report(found: HandEye) -> None:
    rows = [
        (name, f"{held.rms_px:.2f} px", f"{1e3 * held.position_m:.2f} mm", f"{np.rad2deg(held.angle_rad):.2f} degrees")
        for name, held in sorted(found.held_out.items(), key=lambda item: item[1].rms_px)
    ]
    show_table("errors on samples that were held out", ("method", "corners", "position", "orientation"), rows)
    left_out = np.flatnonzero(~found.is_kept)
    numbers = ", ".join(str(number + 1) for number in left_out)
    say(f"{found.is_kept.sum()} samples used, {len(left_out)} left out" + (f": {numbers}" if numbers else ""))
    pose = ", ".join(f"{value:z.6f}" for value in found.camera_pose_in_mount)
    say(
        f'camera_mount = "{found.mount}", camera_pose_in_{found.mount} = [{pose}], known to '
        f"{1e3 * found.deviation_m:.2f} mm and {np.rad2deg(found.deviation_rad):.3f} degrees (standard deviation)"
    )
