"""RealSense cameras on a bus without hardware: they fall silent, change their size, or do not tell who they are."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import numpy as np

from robotkit.drivers.realsense_sdk import rs
from tests.support.realsense_recording import HEIGHT, WIDTH


class FakeCamera:
    """Plays a device, its sensor, its profile and its frames.

    Args:
        serial: None for a device whose `get_info` raises.
        cures: one that is stuck sends frames again after so many resets by hardware.
        latency_s: how long before its arrival a frame was exposed.

    `domain` names the clock that stamps its frames, `behind_s` is how far that is behind the host's.
    """

    def __init__(self, serial: str | None, cures: int = 0, latency_s: float = 0.0) -> None:
        self.serial, self.cures, self.latency_s = serial, cures, latency_s
        self.resets, self.starts, self.is_stuck = 0, 0, False
        self.size_px = (WIDTH, HEIGHT)
        self.domain = rs.timestamp_domain.global_time
        self.behind_s = 0.0
        self.options: dict[object, float] = {}

    def get_info(self, what: object) -> str:
        if self.serial is None:
            raise RuntimeError("info not supported")
        return self.serial

    def hardware_reset(self) -> None:
        self.resets += 1
        self.is_stuck = self.resets < self.cures

    def query_sensors(self) -> list[FakeCamera]:
        return [self]

    def first_depth_sensor(self) -> FakeCamera:
        return self

    def get_depth_scale(self) -> float:
        return 0.001

    def get_stream_profiles(self) -> list[SimpleNamespace]:
        return [SimpleNamespace(stream_type=lambda: rs.stream.color)]

    def set_option(self, option: object, value: float) -> None:
        self.options[option] = value

    def get_stream(self, kind: object) -> FakeCamera:
        return self

    def as_video_stream_profile(self) -> FakeCamera:
        return self

    def get_intrinsics(self) -> SimpleNamespace:
        return SimpleNamespace(fx=1.0, fy=1.0, ppx=0.0, ppy=0.0)

    def get_device(self) -> FakeCamera:
        return self

    def get_color_frame(self) -> FakeFrame:
        return self._frame(np.zeros((*self.size_px[::-1], 3), np.uint8))

    def get_depth_frame(self) -> FakeFrame:
        return self._frame(np.zeros(self.size_px[::-1], np.uint16))

    def _frame(self, pixels: np.ndarray) -> FakeFrame:
        return FakeFrame(pixels, time.time() - self.latency_s - self.behind_s, self.domain)


class FakeFrame:
    """One frame: its pixels, and when it says that it was exposed, in seconds of the clock that it names."""

    def __init__(
        self,
        pixels: np.ndarray,
        stamp_s: float,
        domain: object = rs.timestamp_domain.global_time,
        readout_s: float | None = None,
    ) -> None:
        self.pixels, self.stamp_s, self.domain, self.readout_s = pixels, stamp_s, domain, readout_s

    def get_data(self) -> np.ndarray:
        return self.pixels

    def get_timestamp(self) -> float:
        return self.stamp_s * 1e3

    def get_frame_timestamp_domain(self) -> object:
        return self.domain

    def supports_frame_metadata(self, what: object) -> bool:
        return self.readout_s is not None

    def get_frame_metadata(self, what: object) -> int:
        """Microseconds of the camera's own clock."""
        return 10**6 + (round(1e6 * self.readout_s) if what == rs.frame_metadata_value.frame_timestamp else 0)


class FakePipeline:
    """Plays `rs.pipeline`: streams from the camera that the configuration enabled."""

    def __init__(self, bus: FakeBus) -> None:
        self._bus = bus

    def start(self, configuration: FakeConfig) -> FakeCamera:
        wanted = configuration.serial
        self._camera = next(found for found in self._bus.cameras if wanted in (None, found.serial))
        self._camera.starts += 1
        return self._camera

    def try_wait_for_frames(self, timeout_ms: int) -> tuple[bool, FakeCamera]:
        time.sleep(0.002)
        return not self._camera.is_stuck, self._camera

    def stop(self) -> None:
        raise RuntimeError("stop() cannot be called before start()")


class FakeConfig:
    """Plays `rs.config`."""

    serial: str | None = None

    def enable_device(self, serial: str) -> None:
        self.serial = serial

    def enable_stream(self, *what: object) -> None:
        """Every stream is there."""


class FakeBus:
    """Plays the module `pyrealsense2`, with these cameras connected; one that is reset may be gone from the list."""

    def __init__(self, *cameras: FakeCamera) -> None:
        self.cameras = list(cameras)
        self.vanishes_on_reset = False

    def context(self) -> SimpleNamespace:
        def query_devices() -> list[FakeCamera]:
            return [found for found in self.cameras if not (self.vanishes_on_reset and found.resets)]

        return SimpleNamespace(query_devices=query_devices)

    def pipeline(self) -> FakePipeline:
        return FakePipeline(self)

    def config(self) -> FakeConfig:
        return FakeConfig()

    def align(self, stream: object) -> SimpleNamespace:
        return SimpleNamespace(process=lambda frames: frames)

    def __getattr__(self, name: str) -> Any:
        return getattr(rs, name)
