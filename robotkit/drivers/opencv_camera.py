"""`OpenCvCamera`: a UVC camera, a network stream or a video file, through OpenCV."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import cv2
from pydantic import Field

from robotkit.clock import Clock
from robotkit.devices import CellContext
from robotkit.drivers.frames import FrameConfig, shape_intrinsics, shape_rgb
from robotkit.drivers.polled_camera import PolledCamera
from robotkit.drivers.polling import Source
from robotkit.errors import ConnectionFailed, DeviceError
from robotkit.schema import Frame, Intrinsics


class OpenCvCameraConfig(FrameConfig):
    """Options of a camera that OpenCV can open."""

    device: Annotated[int, Field(ge=0)] | Annotated[str, Field(min_length=1)] = 0
    """A camera's number or path ("/dev/v4l/by-id/..." survives another socket), a URL, or a video file (repeated)."""
    pixel_format: str | None = Field(None, min_length=4, max_length=4)
    """Four letters such as "MJPG": many USB cameras reach their full rate only compressed."""
    intrinsics: Intrinsics | None = None
    """Intrinsics of the captured picture, from a calibration; OpenCV cannot ask the camera."""


class OpenCvCamera(PolledCamera):
    """Frames of any source that `cv2.VideoCapture` opens."""

    Config = OpenCvCameraConfig

    def __init__(self, config: OpenCvCameraConfig, context: CellContext) -> None:
        super().__init__(config, context, _Capture(config, context.clock))
        if config.intrinsics is not None:
            self._describe(shape_intrinsics(config.intrinsics, config))


class _Capture(Source[Frame]):
    """A `VideoCapture`; a file is played at `rate_hz`, from the start again after its end."""

    def __init__(self, config: OpenCvCameraConfig, clock: Clock) -> None:
        self._options = config
        self._clock = clock
        self._is_file = isinstance(config.device, str) and Path(config.device).is_file()
        self._capture: cv2.VideoCapture | None = None
        self._due_s = 0.0

    def open(self) -> None:
        config = self._options
        capture = self._capture = cv2.VideoCapture(config.device)
        if not capture.isOpened():
            raise ConnectionFailed(f"OpenCV cannot open {config.device!r}; check the cable, the path and your rights")
        if not self._is_file:
            self._configure(capture)
        width, height = (int(capture.get(p)) for p in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        if (width, height) != (config.capture_width_px, config.capture_height_px):
            raise ConnectionFailed(
                f"{config.device!r} delivers {width}x{height}, not {config.capture_width_px}x"
                f"{config.capture_height_px}; set capture_width_px and capture_height_px"
            )

    def poll(self) -> Frame | None:
        if self._capture is None:
            raise DeviceError("the capture is closed")
        if self._is_file:
            self._wait_for_next()
        is_there, bgr = self._capture.read()
        if not is_there:
            self._after_nothing()
            return None
        stamp_s = self._clock.now_s()
        rgb = cv2.cvtColor(shape_rgb(bgr, self._options), cv2.COLOR_BGR2RGB)
        return Frame.unchecked(stamp_s=stamp_s, rgb=rgb, depth_m=None)

    def close(self) -> None:
        capture, self._capture = self._capture, None
        if capture is not None:
            capture.release()

    def _configure(self, capture: cv2.VideoCapture) -> None:
        config = self._options
        if config.pixel_format is not None:
            capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*config.pixel_format))
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, config.capture_width_px)
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, config.capture_height_px)
        capture.set(cv2.CAP_PROP_FPS, config.rate_hz)
        # A longer queue hands out pictures that are several periods old.
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)

    def _wait_for_next(self) -> None:
        now_s = time.monotonic()
        self._due_s = max(self._due_s + 1.0 / self._options.rate_hz, now_s)
        time.sleep(self._due_s - now_s)

    def _after_nothing(self) -> None:
        """Rewind a file; from a camera that fails at once, ask again in a moment."""
        if self._is_file and self._capture is not None:
            self._capture.set(cv2.CAP_PROP_POS_FRAMES, 0)
        time.sleep(0.01)
