"""The RealSense driver on a recording, and on a camera that falls silent."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

import robotkit as rk
from robotkit.drivers import realsense
from robotkit.drivers.realsense_sdk import rs
from robotkit.registry import cameras
from tests.support import realsense_recording as recordings
from tests.support.waiting import is_fine, wait_for_error, wait_until

SIZE = {"capture_width_px": recordings.WIDTH, "capture_height_px": recordings.HEIGHT}


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    return recordings.record(tmp_path_factory.mktemp("realsense") / "camera.db3")


def test_colour_is_exact_and_depth_is_metres_of_the_same_moment(recording):
    with cameras.make("realsense", recording=recording, has_depth=True, **SIZE) as camera:
        numbers = set()
        while len(numbers) < 5:
            frame = camera.read()
            number = int(frame.rgb[0, 0, 0])
            numbers.add(number)
            expected, depth_mm = recordings.picture(number)
            np.testing.assert_array_equal(frame.rgb, expected)
            assert frame.depth_m.dtype == np.float32
            middle = frame.depth_m[100:140, 140:180]
            assert middle.min() == middle.max()
            # On a busy machine librealsense pairs a picture with the depth of a neighbour, 1 mm away a frame.
            np.testing.assert_allclose(middle, depth_mm[100:140, 140:180] * 1e-3, atol=0.005)


def test_without_depth_there_is_none(recording):
    with cameras.make("realsense", recording=recording, **SIZE) as camera:
        assert camera.read().depth_m is None


def test_intrinsics_come_from_the_camera_and_follow_the_crop(recording):
    options = SIZE | {"crop_left_px": 40, "crop_width_px": 240, "width_px": 120, "height_px": 120}
    with cameras.make("realsense", recording=recording, **options) as camera:
        assert (camera.spec.width_px, camera.spec.height_px) == camera.read().rgb.shape[1::-1] == (120, 120)
        half = recordings.FOCAL_PX / 2
        centre = ((recordings.CENTRE_X_PX - 40 + 0.5) / 2 - 0.5, (recordings.CENTRE_Y_PX + 0.5) / 2 - 0.5)
        lens = rk.Intrinsics(fx_px=half, fy_px=half, cx_px=centre[0], cy_px=centre[1])
        assert camera.spec.intrinsics == lens


def test_a_stream_that_ends_is_stale_and_restarted(recording):
    options = SIZE | {"repeats_recording": False, "max_age_s": 0.3, "silence_s": 0.6}
    with cameras.make("realsense", recording=recording, **options) as camera:
        camera.read()
        error = wait_for_error(camera.read, rk.StaleState, 5.0)
        assert "allowed: 0.3 s" in str(error)
        wait_until(lambda: is_fine(camera.read, rk.StaleState), 5.0)


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(rk.ConnectionFailed, match=r"nothing\.db3"):
        cameras.make("realsense", recording=tmp_path / "nothing.db3").connect()
    with pytest.raises(rk.ConnectionFailed, match=r"RealSense 0815 is not there; connected: "):
        cameras.make("realsense", serial="0815").connect()


def test_a_stream_that_the_camera_does_not_have_is_refused(recording):
    with pytest.raises(rk.ConnectionFailed, match="cannot start the stream"):
        cameras.make("realsense", recording=recording, capture_width_px=111, capture_height_px=77).connect()


class SilentCamera:
    """Stands in for librealsense's pipeline, context and device: sends frames only when it was reset `cures` times."""

    def __init__(self, cures: int) -> None:
        self.cures, self.resets, self.starts, self.is_stuck = cures, 0, 0, False
        self.options: dict[object, float] = {}

    def pipeline(self) -> SilentCamera:
        return self

    def context(self) -> SimpleNamespace:
        return SimpleNamespace(query_devices=lambda: [self])

    def start(self, configuration: object) -> SilentCamera:
        self.starts += 1
        return self

    def stop(self) -> None:
        raise RuntimeError("stop() cannot be called before start()")

    def hardware_reset(self) -> None:
        self.resets += 1
        self.is_stuck = self.resets < self.cures

    def get_info(self, what: object) -> str:
        return "0815"

    def query_sensors(self) -> list[SilentCamera]:
        return [self]

    def get_stream_profiles(self) -> list[SimpleNamespace]:
        return [SimpleNamespace(stream_type=lambda: rs.stream.color)]

    def set_option(self, option: object, value: float) -> None:
        self.options[option] = value

    def get_stream(self, kind: object) -> SilentCamera:
        return self

    def as_video_stream_profile(self) -> SilentCamera:
        return self

    def get_intrinsics(self) -> SimpleNamespace:
        return SimpleNamespace(fx=1.0, fy=1.0, ppx=0.0, ppy=0.0)

    def get_device(self) -> SilentCamera:
        return self

    def try_wait_for_frames(self, timeout_ms: int) -> tuple[bool, SilentCamera]:
        return not self.is_stuck, self

    def get_color_frame(self) -> SilentCamera:
        return self

    def get_data(self) -> np.ndarray:
        return np.zeros((recordings.HEIGHT, recordings.WIDTH, 3), np.uint8)


def test_a_camera_that_no_restart_wakes_is_reset_by_hardware(monkeypatch):
    silent = SilentCamera(cures=1)
    stand_in = SimpleNamespace(
        pipeline=silent.pipeline, context=silent.context, config=rs.config, stream=rs.stream, format=rs.format,
        camera_info=rs.camera_info, option=rs.option,
    )  # fmt: skip
    monkeypatch.setattr(realsense, "rs", stand_in)
    with cameras.make("realsense", **SIZE, max_age_s=0.3, silence_s=0.1, exposure=156.0) as camera:
        camera.read()
        silent.is_stuck = True
        wait_for_error(camera.read, rk.StaleState, 2.0)
        wait_until(lambda: is_fine(camera.read, rk.StaleState), 10.0)
    assert silent.options == {rs.option.enable_auto_exposure: 0, rs.option.exposure: 156.0}
    assert silent.resets == 1
    assert silent.starts == 5
