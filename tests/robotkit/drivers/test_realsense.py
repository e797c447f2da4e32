"""The RealSense driver on a recording, and on a camera that falls silent."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

import robotkit as rk
from robotkit.drivers import realsense
from robotkit.drivers.realsense_sdk import rs
from robotkit.registry import cameras
from tests.support import realsense_recording as recordings
from tests.support.realsense_fake import FakeBus, FakeCamera
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
        error = wait_for_error(camera.read, rk.StaleState)
        assert "allowed: 0.3 s" in str(error)
        wait_until(lambda: is_fine(camera.read, rk.StaleState))


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(rk.ConnectionFailed, match=r"nothing\.db3"):
        cameras.make("realsense", recording=tmp_path / "nothing.db3").connect()
    with pytest.raises(rk.ConnectionFailed, match=r"RealSense 0815 is not there; connected: "):
        cameras.make("realsense", serial="0815").connect()


def test_a_stream_that_the_camera_does_not_have_is_refused(recording):
    with pytest.raises(rk.ConnectionFailed, match="cannot start the stream"):
        cameras.make("realsense", recording=recording, capture_width_px=111, capture_height_px=77).connect()


def test_a_camera_that_no_restart_wakes_is_reset_by_hardware(monkeypatch):
    silent = FakeCamera("0815", cures=1)
    monkeypatch.setattr(realsense, "rs", FakeBus(silent))
    with cameras.make("realsense", **SIZE, max_age_s=0.3, silence_s=0.1, exposure=156.0) as camera:
        camera.read()
        silent.is_stuck = True
        wait_for_error(camera.read, rk.StaleState)
        wait_until(lambda: is_fine(camera.read, rk.StaleState))
    assert silent.options == {rs.option.enable_auto_exposure: 0, rs.option.exposure: 156.0}
    assert silent.resets == 1
    assert silent.starts == 5


def test_p10_one_of_several_cameras_has_to_be_chosen(monkeypatch):
    bus = FakeBus(FakeCamera("0815"), FakeCamera("4711"))
    monkeypatch.setattr(realsense, "rs", bus)
    with pytest.raises(rk.ConnectionFailed, match=r"0815, 4711; set the option `serial`"):
        cameras.make("realsense", **SIZE).connect()
    assert [camera.starts for camera in bus.cameras] == [0, 0]
    with cameras.make("realsense", **SIZE, serial="4711") as camera:
        camera.read()
    assert [camera.starts for camera in bus.cameras] == [0, 1]


def test_p10_the_only_camera_stays_the_one_that_is_opened_and_reset(monkeypatch):
    """Another one is plugged in; then the first falls silent."""
    first, second = FakeCamera("0815", cures=1), FakeCamera("4711")
    bus = FakeBus(first)
    monkeypatch.setattr(realsense, "rs", bus)
    with cameras.make("realsense", **SIZE, max_age_s=0.3, silence_s=0.1) as camera:
        camera.connect()
        bus.cameras.append(second)
        first.is_stuck = True
        wait_for_error(camera.read, rk.StaleState)
        wait_until(lambda: is_fine(camera.read, rk.StaleState))
    assert (first.resets, second.resets, second.starts) == (1, 0, 0)


def test_p10_a_second_connection_may_find_another_camera(monkeypatch):
    first, second = FakeCamera("0815"), FakeCamera("4711")
    bus = FakeBus(first)
    monkeypatch.setattr(realsense, "rs", bus)
    camera = cameras.make("realsense", **SIZE)
    with camera:
        camera.connect()
    bus.cameras = [second]
    with camera:
        camera.read()
    assert (first.starts, second.starts) == (1, 1)


def test_p10_a_camera_that_does_not_tell_its_serial_number_does_not_block_another(monkeypatch):
    mute, wanted = FakeCamera(None), FakeCamera("4711", cures=1)
    monkeypatch.setattr(realsense, "rs", FakeBus(mute, wanted))
    with cameras.make("realsense", **SIZE, serial="4711", max_age_s=0.3, silence_s=0.1) as camera:
        wanted.is_stuck = True
        wait_for_error(camera.read, rk.StaleState)
        wait_until(lambda: is_fine(camera.read, rk.StaleState))
    assert (mute.resets, wanted.resets) == (0, 1)
    with pytest.raises(rk.ConnectionFailed, match="one that does not tell its serial number, 4711"):
        cameras.make("realsense", **SIZE).connect()


def test_a_camera_is_not_opened_again_after_it_was_let_go_during_its_reset(monkeypatch):
    gone = FakeCamera("0815", cures=1)
    bus = FakeBus(gone)
    monkeypatch.setattr(realsense, "rs", bus)
    camera = cameras.make("realsense", **SIZE, max_age_s=0.3, silence_s=0.1)
    camera.connect()
    bus.vanishes_on_reset = gone.is_stuck = True
    wait_until(lambda: gone.resets == 1)
    starts = gone.starts
    camera.disconnect()
    bus.cameras = [gone]
    assert not any(thread.name == "camera 'realsense'" for thread in threading.enumerate())
    assert gone.starts == starts


@pytest.mark.parametrize("has_depth", [False, True])
def test_p17_a_picture_that_changes_its_size_is_a_fault(monkeypatch, has_depth):
    changing = FakeCamera("0815")
    monkeypatch.setattr(realsense, "rs", FakeBus(changing))
    with cameras.make("realsense", **SIZE, crop_left_px=200, has_depth=has_depth, max_age_s=60.0) as camera:
        assert camera.read().rgb.shape == (240, 120, 3)
        changing.size_px = (160, 120)
        error = wait_for_error(camera.read, rk.DeviceFault)
        assert "delivers 160x120" in str(error)
        changing.size_px = (recordings.WIDTH, recordings.HEIGHT)
        wait_until(lambda: is_fine(camera.read, rk.DeviceFault))


def test_c_a_frame_is_stamped_when_it_was_exposed(monkeypatch):
    late = FakeCamera("0815", latency_s=0.2)
    monkeypatch.setattr(realsense, "rs", FakeBus(late))
    with cameras.make("realsense", **SIZE, max_age_s=60.0) as camera:
        frame = camera.read()
        after_s = time.monotonic()
        assert frame.stamp_s < after_s - 0.19
        late.latency_s = 0.0
        wait_until(lambda: camera.read().stamp_s > after_s)


def test_m12_a_camera_that_starts_again_starts_its_clock_again(monkeypatch):
    restarted = FakeCamera("0815")
    restarted.domain = rs.timestamp_domain.hardware_clock
    monkeypatch.setattr(realsense, "rs", FakeBus(restarted))
    with cameras.make("realsense", **SIZE, max_age_s=0.3, silence_s=0.1) as camera:
        camera.read()
        restarted.is_stuck = True
        wait_for_error(camera.read, rk.StaleState)
        restarted.behind_s = 0.2
        silent_until_s = time.monotonic()
        restarted.is_stuck = False
        wait_until(lambda: is_fine(camera.read, rk.StaleState))
        assert camera.read().stamp_s >= silent_until_s


def test_a_frame_that_was_exposed_too_long_ago_is_stale_when_it_arrives(monkeypatch):
    monkeypatch.setattr(realsense, "rs", FakeBus(FakeCamera("0815", latency_s=0.9)))
    with (
        cameras.make("realsense", **SIZE, max_age_s=0.5) as camera,
        pytest.raises(rk.StaleState, match=r"nothing new for 0\.9. s \(allowed: 0\.5 s\)"),
    ):
        camera.read()
