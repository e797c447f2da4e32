"""`robotkit calibrate camera` and `hand-eye`: measure a camera and write the result into its workcell file."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import tyro

from robotkit.cli.cell_argument import open_cell
from robotkit.drivers.tag_families import Family
from robotkit.errors import MissingExtra
from robotkit.workcell import Workcell

_EXTRA_MODULES = ("cv2", "tomlkit")


@dataclass(frozen=True)
class Calibration:
    """The options that both calibrations share."""

    cell: tyro.conf.Positional[Path]
    """The workcell file (.toml) that names the camera and receives the result; its comments are kept."""
    camera: str
    """Name of the camera in that file."""
    url: str | None = None
    """Read camera and arm from the robot server at this address, which serves the same cell. Left out: open them."""
    token: str | None = None
    """Token of the server; also read from the variable ROBOTKIT_TOKEN."""
    board: Literal["tag", "charuco", "chessboard"] = "charuco"
    """The target that the camera looks at; a ChArUco board is the most accurate."""
    columns: int = 7
    """Squares of a ChArUco board, or inner corners of a chessboard, along its x axis."""
    rows: int = 5
    """Squares of a ChArUco board, or inner corners of a chessboard, along its y axis."""
    square_m: float = 0.03
    """Edge of a square."""
    marker_m: float = 0.022
    """Edge of a ChArUco board's markers."""
    family: Family = "4x4_50"
    """Family of a tag, or of a ChArUco board's markers."""
    tag_id: int = 0
    """Number of the tag."""
    size_m: float | None = None
    """Edge of the tag's black square."""
    picture: Path | None = None
    """Where to write the picture of the residuals. Left out: beside the workcell file."""
    print_only: bool = False
    """Print the result and leave the workcell file as it is."""

    def open_cell(self) -> Workcell:
        """The cell to read from, not yet connected."""
        return open_cell(self.url or str(self.cell), self.token)


@dataclass(frozen=True)
class CameraCalibration(Calibration):
    """Measure a camera's lens (focal length, centre, distortion) with a board in at least eight pictures.

    Nothing moves: a person holds the board and presses Enter for each picture, or --pictures names a folder of them.
    The result goes into the camera's `intrinsics`, and the distortion into the trackers that look through it.
    """

    pictures: Path | None = None
    """A folder of pictures, as the camera captures or delivers them."""

    def run(self) -> int:
        """Collect, solve, write."""
        return int(_module("calibrate_camera").run(self))


@dataclass(frozen=True)
class HandEyeCalibration(Calibration):
    """Measure where a camera is mounted, from at least eight pictures of a board and the arm's poses.

    Nothing is commanded, and control of the arm does not start: a person guides it by hand, or steers it from another
    program through the server that --url names, lets it rest, and presses Enter for each sample. With --mount tcp the
    board lies still and the camera moves; with --mount base the camera stands still and the board is held by the hand.
    Turn the hand by 20 degrees or more about two axes between samples. The result goes into the trackers that look
    through this camera.
    """

    mount: Literal["base", "tcp"] = "base"
    """Mount of the camera: the arm's base or the table ("base"), or the tool ("tcp")."""
    samples: Path | None = None
    """Solve these recorded samples again, in place of taking new ones; the mount is the recorded one."""
    save_samples: Path | None = None
    """Where to keep the samples, as JSON. Left out: beside the workcell file."""

    def run(self) -> int:
        """Collect, solve, write."""
        return int(_module("calibrate_hand_eye").run(self))


def _module(name: str) -> Any:
    """Import the module that does the work, which needs the extra [calibration]."""
    try:
        return importlib.import_module(f"robotkit.cli.{name}")
    except ModuleNotFoundError as error:
        if error.name not in _EXTRA_MODULES:
            raise
        raise MissingExtra(
            f"calibration needs the package {error.name!r}, which is not installed. Try: "
            "pip install 'robotkit[calibration]'"
        ) from error
