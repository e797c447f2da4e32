"""The RealSense driver's source step by step, without its thread: what is opened, reset, asked for and let go."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import numpy as np
import pytest

import robotkit as rk
from robotkit.drivers import realsense
from robotkit.drivers.realsense import RealSenseConfig, _Pipeline
from robotkit.drivers.realsense_sdk import rs
from tests.support import realsense_recording as recordings
from tests.support.realsense_fake import FakeBus, FakeCamera, FakeConfig, FakePipeline

SIZE = {"capture_width_px": recordings.WIDTH, "capture_height_px": recordings.HEIGHT}


class Asked(FakeConfig):
    """Keeps the streams that are asked for."""

    def __init__(self) -> None:
        self.streams: list[tuple[object, ...]] = []

    def enable_stream(self, *what: object) -> None:
        self.streams.append(what)


class Stopped(FakePipeline):
    """Can be stopped, and counts it; `try_wait_for_frames` does not wait."""

    stops = 0
    trouble: RuntimeError | None = None

    def try_wait_for_frames(self, timeout_ms: int) -> tuple[bool, FakeCamera]:
        if self.trouble is not None:
            raise self.trouble
        return not self._camera.is_stuck, self._camera

    def stop(self) -> None:
        type(self).stops += 1


class Stop(threading.Event):
    """Its waits are kept, and take no time."""

    def __init__(self) -> None:
        super().__init__()
        self.waits_s: list[float] = []

    def wait(self, timeout_s: float | None = None) -> bool:
        self.waits_s.append(timeout_s or 0.0)
        return self.is_set()


class Bench:
    """A source on a bus with cameras, and the configuration that it asked for last."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *cameras: FakeCamera, **options: object) -> None:
        self.bus, self.asked = FakeBus(*cameras), Asked()
        self.bus.config = self._new_configuration
        self.bus.pipeline = lambda: Stopped(self.bus)
        monkeypatch.setattr(realsense, "rs", self.bus)
        monkeypatch.setattr(Stopped, "stops", 0)
        monkeypatch.setattr(Stopped, "trouble", None)
        self.source = _Pipeline(RealSenseConfig(**SIZE | options), rk.RealClock(now_s=lambda: 10.0))
        self.source.stopping = self.stop = Stop()

    def _new_configuration(self) -> Asked:
        self.asked = Asked()
        return self.asked


def test_the_streams_are_asked_for_in_size_format_and_rate(monkeypatch):
    bench = Bench(monkeypatch, FakeCamera("0815"), has_depth=True, rate_hz=15.4)
    bench.source.open()
    assert bench.asked.serial == "0815"
    size = (recordings.WIDTH, recordings.HEIGHT)
    assert bench.asked.streams == [
        (rs.stream.color, *size, rs.format.rgb8, 15), (rs.stream.depth, *size, rs.format.z16, 15),
    ]  # fmt: skip
    bench = Bench(monkeypatch, FakeCamera("0815"))
    bench.source.open()
    assert bench.asked.streams == [(rs.stream.color, *size, rs.format.rgb8, 30)]
    assert not bench.bus.cameras[0].options, "the exposure is left to the camera"


def test_depth_is_metres_by_the_cameras_own_scale_and_colour_a_copy(monkeypatch):
    camera = FakeCamera("0815")
    camera.get_depth_scale = lambda: 0.0005
    camera.get_depth_frame = lambda: camera._frame(np.ones((recordings.HEIGHT, recordings.WIDTH), np.uint16))
    bench = Bench(monkeypatch, camera, has_depth=True)
    bench.source.open()
    frame = bench.source.poll()
    np.testing.assert_array_equal(frame.depth_m, np.full((recordings.HEIGHT, recordings.WIDTH), 0.0005, np.float32))
    assert frame.rgb.shape == (recordings.HEIGHT, recordings.WIDTH, 3)


def test_without_a_frame_or_without_its_depth_there_is_nothing_new(monkeypatch):
    camera = FakeCamera("0815")
    bench = Bench(monkeypatch, camera, has_depth=True)
    bench.source.open()
    camera.is_stuck = True
    assert bench.source.poll() is None
    camera.is_stuck = False
    camera.get_depth_frame = lambda: None
    assert bench.source.poll() is None
    del camera.get_depth_frame
    camera.get_color_frame = lambda: None
    assert bench.source.poll() is None
    del camera.get_color_frame
    assert bench.source.poll() is not None


def test_after_three_openings_without_a_frame_its_own_camera_is_reset_and_a_frame_starts_the_count_again(monkeypatch):
    camera, other = FakeCamera("0815", cures=9), FakeCamera("4711")
    bench = Bench(monkeypatch, other, camera, serial="0815")
    resets = []
    for _ in range(8):
        bench.source.open()
        resets.append(camera.resets)
        bench.source.close()
    assert resets == [0, 0, 0, 1, 1, 1, 2, 2]
    assert other.resets == other.starts == 0
    camera.is_stuck = False
    bench.source.open()
    assert bench.source.poll() is not None
    for _ in range(3):
        bench.source.open()
    assert camera.resets == 2
    bench.source.forget()
    for _ in range(3):
        bench.source.open()
    assert camera.resets == 2


def test_a_camera_that_reboots_is_waited_for_until_it_is_back_or_for_ten_seconds(monkeypatch):
    camera = FakeCamera("0815", cures=9)
    bench = Bench(monkeypatch, camera, serial="0815")
    now_s, looks = 100.0, []

    def query_devices() -> list[FakeCamera]:
        looks.append(now_s)
        return [camera] if not camera.resets or len(looks) % 4 == 0 else []

    def wait(timeout_s: float) -> bool:
        nonlocal now_s
        now_s += timeout_s
        return False

    monkeypatch.setattr(realsense, "time", SimpleNamespace(monotonic=lambda: now_s))
    monkeypatch.setattr(bench.stop, "wait", wait)
    bench.bus.context = lambda: SimpleNamespace(query_devices=query_devices)
    bench.source._reset_hardware()
    assert camera.resets == 1
    assert looks[0] == 100.0
    assert looks[1] >= 100.3, "it takes a moment to disappear"
    assert 0.0 < looks[2] - looks[1] < 0.5
    looks.clear()
    bench.bus.context = lambda: SimpleNamespace(query_devices=lambda: looks.append(now_s) or [])
    with pytest.raises(rk.ConnectionFailed, match=r"0815 is not there; connected: none\. Check its cable"):
        bench.source._reset_hardware()
    assert 9.0 < looks[-1] - looks[0] < 12.0
    bench.stop.set()
    with pytest.raises(rk.ConnectionFailed, match="disconnected while it was being reset"):
        bench.source._reset_hardware()


def test_what_the_vendors_library_raises_is_told_with_the_cameras_name(monkeypatch):
    camera = FakeCamera("0815", cures=9)
    bench = Bench(monkeypatch, camera, exposure=1.0)
    camera.set_option = raising("no such option")
    with pytest.raises(rk.ConnectionFailed, match=r"RealSense 0815 cannot start the stream.*no such option"):
        bench.source.open()
    del camera.set_option
    bench.source.open()
    monkeypatch.setattr(Stopped, "trouble", RuntimeError("gone"))
    with pytest.raises(rk.DeviceError, match="RealSense 0815 failed: gone"):
        bench.source.poll()
    camera.hardware_reset = raising("busy")
    with pytest.raises(rk.ConnectionFailed, match="RealSense 0815 cannot be reset: busy; unplug it"):
        bench.source._reset_hardware()
    bench.bus.context = lambda: SimpleNamespace(query_devices=raising("no bus"))
    with pytest.raises(rk.ConnectionFailed, match="cannot list its cameras: no bus"):
        bench.source.open()


def raising(words: str):
    def call(*arguments: object) -> None:
        raise RuntimeError(words)

    return call


def test_a_pipeline_is_stopped_once_and_one_that_never_started_not_at_all(monkeypatch):
    bench = Bench(monkeypatch, FakeCamera("0815"))
    bench.source.close()
    bench.source.open()
    bench.source.close()
    bench.source.close()
    assert Stopped.stops == 1


def test_without_a_serial_number_the_message_names_no_camera(monkeypatch):
    bench = Bench(monkeypatch)
    with pytest.raises(rk.ConnectionFailed, match="a RealSense is not there; connected: none"):
        bench.source.open()
    bench.bus.cameras = [FakeCamera(None)]
    with pytest.raises(rk.ConnectionFailed, match="a RealSense is not there; connected: one that does not tell"):
        bench.source.open()


def test_only_the_sensor_that_delivers_colour_is_exposed(monkeypatch):
    camera, depth = FakeCamera("0815"), FakeCamera("0815")
    depth.get_stream_profiles = lambda: [SimpleNamespace(stream_type=lambda: rs.stream.depth)]
    camera.query_sensors = lambda: [depth, camera]
    bench = Bench(monkeypatch, camera, exposure=80.0)
    bench.source.open()
    assert list(camera.options.items()) == [(rs.option.enable_auto_exposure, 0), (rs.option.exposure, 80.0)], (
        "in this order: a camera that exposes by itself takes no time"
    )
    assert depth.options == {}
