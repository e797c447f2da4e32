"""Recorded samples of a hand-eye calibration: a JSON file that another run can solve again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import ValidationError, field_validator

from robotkit.calibration.lens import Lens
from robotkit.drivers.tags import DISTORTION_LENGTHS
from robotkit.errors import InvalidConfiguration
from robotkit.schema import Array, Intrinsics, Message, Pose

Mount = Literal["base", "tcp"]
"""The thing that a camera is fixed to: the arm's base (or the table), or its tool."""


class HandEyeSample(Message):
    """One picture of the board, and where the resting arm's tool was."""

    tcp_pose_in_base: Pose
    points_in_board_m: Annotated[np.ndarray, Array(None, 3)]
    corners_px: Annotated[np.ndarray, Array(None, 2)]
    """Where the camera saw these points."""


class HandEyeRecording(Message):
    """All samples of one calibration, and the lens that they were taken through."""

    mount: Mount
    intrinsics: Intrinsics
    distortion: tuple[float, ...] = ()
    samples: tuple[HandEyeSample, ...] = ()

    @field_validator("distortion")
    @classmethod
    def _belongs_to_a_lens_model(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if len(value) not in DISTORTION_LENGTHS:
            raise ValueError(f"{len(value)} coefficients are not one of {DISTORTION_LENGTHS}")
        return value

    @property
    def lens(self) -> Lens:
        """The camera's lens."""
        return Lens(self.intrinsics, self.distortion)


def load_recording(path: Path) -> HandEyeRecording:
    """Read recorded samples.

    Raises:
        InvalidConfiguration: the file cannot be read, or holds something else.
    """
    try:
        recording = HandEyeRecording.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidConfiguration(f"cannot read the samples {path}: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise InvalidConfiguration(f"{path} holds no hand-eye samples: {place}: {first['msg']}") from error
    for number, sample in enumerate(recording.samples):
        if len(sample.points_in_board_m) != len(sample.corners_px) or len(sample.corners_px) < 4:
            raise InvalidConfiguration(
                f"{path}: samples.{number} needs at least four points, each with its corner in the picture; it has "
                f"{len(sample.points_in_board_m)} points and {len(sample.corners_px)} corners"
            )
    return recording


def save_recording(path: Path, recording: HandEyeRecording) -> None:
    """Write recorded samples."""
    path.write_text(recording.model_dump_json(indent=1) + "\n", encoding="utf-8")
