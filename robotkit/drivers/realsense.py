"""`RealSenseCamera`: an Intel RealSense, colour with optional depth."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from robotkit.clock import Clock
from robotkit.devices import CellContext
from robotkit.drivers.frames import FrameConfig, shape_depth, shape_intrinsics, shape_rgb
from robotkit.drivers.polled_camera import PolledCamera
from robotkit.drivers.polling import Source
from robotkit.drivers.realsense_sdk import rs
from robotkit.drivers.realsense_time import ExposureClock
from robotkit.errors import ConnectionFailed, DeviceError
from robotkit.schema import Frame, Intrinsics

_FRAME_TIMEOUT_MS = 200
_OPENS_BEFORE_HARDWARE_RESET = 3
_RESET_TIMEOUT_S = 10.0


class RealSenseConfig(FrameConfig):
    """Options of a RealSense camera."""

    serial: str | None = Field(None, min_length=1)
    """Serial number, as `rs-enumerate-devices -s` prints it; None takes the only camera, and refuses several."""
    recording: Path | None = None
    """Play this recording (.db3) in place of a camera."""
    repeats_recording: bool = True
    has_depth: bool = False
    """True to deliver depth as well, aligned to the colour picture."""
    exposure: float | None = Field(None, gt=0.0, le=1e6)
    """Fixed exposure in the sensor's own unit (D405: microseconds; colour of D415, D435 and D455: 100 microseconds).
    None leaves it to the camera, whose pictures then change with the light."""


class RealSenseCamera(PolledCamera):
    """Frames of one RealSense; one that stays silent is restarted, then reset by hardware."""

    Config = RealSenseConfig

    def __init__(self, config: RealSenseConfig, context: CellContext) -> None:
        self._source = _Pipeline(config, context.clock)
        super().__init__(config, context, self._source)

    def connect(self) -> None:
        """Open the camera, wait for its first frame, and learn its intrinsics.

        Raises:
            ConnectionFailed: it is not there, sends no frame, or is one of several while no serial number is set.
            DeviceFault: its pictures do not fit the spec.
        """
        if self.is_connected:
            return
        self._source.forget()
        super().connect()
        if self._source.intrinsics is not None:
            self._describe(shape_intrinsics(self._source.intrinsics, self._frames))


class _Pipeline(Source[Frame]):
    """A librealsense pipeline.

    The camera that was found first is the only one that is opened and reset until `forget`.
    """

    def __init__(self, config: RealSenseConfig, clock: Clock) -> None:
        self._options = config
        self._clock = clock
        self._exposures = ExposureClock(clock)
        self.intrinsics: Intrinsics | None = None
        """Intrinsics of the captured colour picture, known after `open`."""
        self._pipeline: Any = None
        self._align = rs.align(rs.stream.color) if config.has_depth else None
        self._depth_scale_m = 0.0
        self.forget()

    def forget(self) -> None:
        """Look for the camera anew at the next opening."""
        self._serial = self._options.serial
        self._opens_without_frame = 0

    def open(self) -> None:
        self._find()
        self._opens_without_frame += 1
        if self._opens_without_frame > _OPENS_BEFORE_HARDWARE_RESET and self._options.recording is None:
            self._reset_hardware()
            self._opens_without_frame = 1
        self._exposures.restart()
        self._pipeline = rs.pipeline()
        try:
            profile = self._pipeline.start(self._configuration())
            self._configure(profile)
        except RuntimeError as error:
            raise ConnectionFailed(f"{self._place()} cannot start the stream that was asked for: {error}") from error

    def poll(self) -> Frame | None:
        try:
            is_there, frames = self._pipeline.try_wait_for_frames(_FRAME_TIMEOUT_MS)
            frames = self._align.process(frames) if is_there and self._align else frames
        except RuntimeError as error:
            raise DeviceError(f"{self._place()} failed: {error}") from error
        color = frames.get_color_frame() if is_there else None
        depth = frames.get_depth_frame() if is_there and self._align else None
        if not color or (self._align and not depth):
            return None
        self._opens_without_frame = 0
        return Frame.unchecked(
            stamp_s=self._stamp_s(color),
            rgb=shape_rgb(np.asanyarray(color.get_data()), self._options),
            depth_m=self._depth_m(depth) if depth else None,
        )

    def close(self) -> None:
        pipeline, self._pipeline = self._pipeline, None
        if pipeline is None:
            return
        try:
            pipeline.stop()
        except RuntimeError:  # a pipeline that never started, or whose camera is gone, refuses to stop
            return

    def _stamp_s(self, color: Any) -> float:
        """When the picture was exposed; one of a recording is exposed when it is played."""
        return self._clock.now_s() if self._options.recording is not None else self._exposures.stamp_s(color)

    def _depth_m(self, depth: Any) -> np.ndarray:
        raw = np.asanyarray(depth.get_data())
        return shape_depth(raw.astype(np.float32) * np.float32(self._depth_scale_m), self._options)

    def _configuration(self) -> Any:
        config, options = rs.config(), self._options
        if options.recording is not None:
            rs.config.enable_device_from_file(config, str(options.recording), options.repeats_recording)
        else:
            config.enable_device(self._serial)
        size = (options.capture_width_px, options.capture_height_px)
        config.enable_stream(rs.stream.color, *size, rs.format.rgb8, round(options.rate_hz))
        if options.has_depth:
            config.enable_stream(rs.stream.depth, *size, rs.format.z16, round(options.rate_hz))
        return config

    def _configure(self, profile: Any) -> None:
        """Ask the started camera for what it knows, and set its exposure."""
        found = profile.get_stream(rs.stream.color).as_video_stream_profile().get_intrinsics()
        self.intrinsics = Intrinsics(fx_px=found.fx, fy_px=found.fy, cx_px=found.ppx, cy_px=found.ppy)
        device = profile.get_device()
        if self._options.has_depth:
            self._depth_scale_m = float(device.first_depth_sensor().get_depth_scale())
        if self._options.exposure is not None:
            self._fix_exposure(device, self._options.exposure)

    @staticmethod
    def _fix_exposure(device: Any, exposure: float) -> None:
        """Set it on the sensor that delivers colour; the D405 has no separate one."""
        for sensor in device.query_sensors():
            if any(profile.stream_type() == rs.stream.color for profile in sensor.get_stream_profiles()):
                sensor.set_option(rs.option.enable_auto_exposure, 0)
                sensor.set_option(rs.option.exposure, exposure)

    def _find(self) -> None:
        """Make sure that the recording, or the camera with its serial number, is there."""
        if self._options.recording is not None:
            if not self._options.recording.is_file():
                raise ConnectionFailed(f"there is no recording {self._options.recording}")
            return
        serials = [_serial_of(device) for device in _devices()]
        listed = ", ".join(serial or "one that does not tell its serial number" for serial in serials)
        if self._serial is None and len(serials) > 1:
            raise ConnectionFailed(
                f"several RealSense cameras are connected: {listed}; set the option `serial` to that of the wanted one"
            )
        if self._serial is None and serials:
            self._serial = serials[0]
        if self._serial is None or self._serial not in serials:
            raise ConnectionFailed(
                f"{self._place()} is not there; connected: {listed or 'none'}. Check its cable (USB 3) and "
                "the udev rules of librealsense"
            )

    def _reset_hardware(self) -> None:
        """Have this camera, and no other, reboot; wait until it is back."""
        serial = self._serial
        for device in _devices():
            if serial is not None and _serial_of(device) == serial:
                try:
                    device.hardware_reset()
                except RuntimeError as error:
                    raise ConnectionFailed(f"{self._place()} cannot be reset: {error}; unplug it") from error
        deadline_s = time.monotonic() + _RESET_TIMEOUT_S
        self.stopping.wait(0.5)  # it takes a moment to disappear from the list
        while not self.stopping.is_set():
            try:
                return self._find()
            except ConnectionFailed:
                if time.monotonic() > deadline_s:
                    raise
            self.stopping.wait(0.2)
        raise ConnectionFailed(f"{self._place()} was disconnected while it was being reset")

    def _place(self) -> str:
        if self._options.recording is not None:
            return f"the recording {self._options.recording}"
        return f"RealSense {self._serial}" if self._serial else "a RealSense"


def _devices() -> list[Any]:
    """Every RealSense that is connected."""
    try:
        return list(rs.context().query_devices())
    except RuntimeError as error:
        raise ConnectionFailed(f"librealsense cannot list its cameras: {error}") from error


def _serial_of(device: Any) -> str | None:
    """A device's serial number; None for one that does not answer, which must not keep others from being found."""
    try:
        serial: str = device.get_info(rs.camera_info.serial_number)
    except RuntimeError:
        return None
    return serial
