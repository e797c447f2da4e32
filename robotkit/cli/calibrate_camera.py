"""The procedure of `robotkit calibrate camera`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from robotkit.calibration.boards import Board, Sighting
from robotkit.calibration.capture import capture_sightings, connected
from robotkit.calibration.cell_file import CellFile
from robotkit.calibration.folder import sightings_in_folder
from robotkit.calibration.lens import LensCalibration, calibrate_lens
from robotkit.calibration.pictures import draw_lens
from robotkit.cli.calibrate import CameraCalibration
from robotkit.cli.calibration_session import ask, make_board, open_file, picture_path, say, show_table
from robotkit.cli.interruptible import interruptible
from robotkit.drivers.frames import FrameConfig, captured_intrinsics
from robotkit.errors import InvalidConfiguration
from robotkit.schema import Intrinsics


def run(options: CameraCalibration) -> int:
    """Collect pictures, solve, write.

    Raises:
        InvalidConfiguration: an option is wrong, or the pictures do not determine the lens; nothing is written.
    """
    file, board, picture = open_file(options), make_board(options), picture_path(options, "lens")
    config = file.camera_options()
    if not options.print_only and "intrinsics" not in type(config).model_fields:
        raise InvalidConfiguration(
            f"camera {options.camera!r} is of type {file.camera_ref.type!r}, which takes no `intrinsics`: the device "
            "or its simulation knows them; --print-only measures and writes nothing"
        )
    if options.pictures is None:
        sightings, size_px = _capture(options, board)
    else:
        sightings, size_px = _read(options.pictures, board)
    found = calibrate_lens(sightings, size_px)
    captured = _captured(found, config if isinstance(config, FrameConfig) else None)
    _report(found, captured)
    draw_lens(found, picture)
    say(f"residuals: {picture}")
    if not options.print_only:
        _write(open_file(options), captured, found.lens.distortion)  # again: it may have been edited meanwhile
    return 0


def _capture(options: CameraCalibration, board: Board) -> tuple[list[Sighting], tuple[int, int]]:
    cell = options.open_cell()
    with interruptible(), connected(cell, options.camera, with_robot=False) as camera:
        say("Show the board tilted by 20 to 45 degrees in all directions, near and far, also in the picture's corners.")
        return capture_sightings(cell, camera, board, ask, say), (camera.spec.width_px, camera.spec.height_px)


def _read(folder: Path, board: Board) -> tuple[list[Sighting], tuple[int, int]]:
    sightings, size_px, without = sightings_in_folder(folder, board)
    if without:
        say(f"the board was not found in {', '.join(without)}")
    return sightings, size_px


def _captured(found: LensCalibration, config: FrameConfig | None) -> Intrinsics:
    """The lens of the captured picture, from pictures as they are captured or as they are delivered."""
    measured = found.lens.intrinsics
    if config is None or found.size_px == (config.capture_width_px, config.capture_height_px):
        return measured
    if found.size_px == config.delivered_px:
        return captured_intrinsics(measured, config)
    width, height = found.size_px
    raise InvalidConfiguration(
        f"the pictures are {width}x{height}; this camera captures {config.capture_width_px}x"
        f"{config.capture_height_px} and delivers {config.delivered_px[0]}x{config.delivered_px[1]}"
    )


def _report(found: LensCalibration, captured: Intrinsics) -> None:
    rows = [(name, f"{value:.2f}") for name, value in captured.model_dump().items()]
    rows += [
        (name, f"{value:+z.5f}") for name, value in zip(("k1", "k2", "p1", "p2"), found.lens.distortion, strict=True)
    ]
    rows.append(("error", f"{found.rms_px:.3f} px, root mean square"))
    rows.append(("focal length known to", f"{found.focal_deviation_px:.2f} px"))
    rows.append(("pictures", f"{len(found.errors_px)} used, {len(found.rejected)} left out"))
    show_table("lens of the captured picture", ("value", "measured"), rows)


def _write(file: CellFile, captured: Intrinsics, distortion: Sequence[float]) -> None:
    file.set_lens(captured, distortion)
    file.save()
    trackers = ", ".join(file.trackers()) or "no tracker"
    say(f"{file.path}: intrinsics of {file.camera} written, distortion of {trackers}")
