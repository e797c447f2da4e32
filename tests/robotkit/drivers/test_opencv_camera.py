"""Crop and resize, and the OpenCV camera on a video file and on a capture that fails."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import ClassVar

import cv2
import numpy as np
import pytest

import robotkit as rk
from robotkit.drivers import opencv_camera
from robotkit.drivers.frames import FrameConfig, captured_intrinsics, shape_depth, shape_intrinsics, shape_rgb
from robotkit.drivers.polled_camera import PolledCamera
from robotkit.drivers.polling import Source
from robotkit.registry import cameras
from tests.support.tag_picture import write_video
from tests.support.waiting import is_fine, wait_for_error, wait_until

SIZE = {"capture_width_px": 64, "capture_height_px": 48}


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """Five pictures; the red channel tells which is which."""
    pictures = [np.full((48, 64, 3), (40 * number, 100, 200), np.uint8) for number in range(1, 6)]
    return write_video(tmp_path_factory.mktemp("video") / "five.avi", pictures)


def test_a_crop_is_the_pixels_themselves_and_a_copy():
    image = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    config = FrameConfig(**SIZE, crop_left_px=10, crop_top_px=5, crop_width_px=30, crop_height_px=20)
    cut = shape_rgb(image, config)
    np.testing.assert_array_equal(cut, image[5:25, 10:40])
    assert not np.shares_memory(cut, image)
    assert config.delivered_px == (30, 20)


def test_depth_is_never_mixed():
    depth = np.where(np.arange(64) < 32, np.float32(0.5), np.float32(2.0))[None].repeat(48, axis=0)
    small = shape_depth(depth, FrameConfig(**SIZE, width_px=15, height_px=11))
    assert small.shape == (11, 15)
    assert small.dtype == np.float32
    assert set(np.unique(small)) == {np.float32(0.5), np.float32(2.0)}


@pytest.mark.parametrize(("shape", "dtype"), [((24, 32), np.float32), ((48, 64), np.uint16), ((64, 48), np.float32)])
def test_p17_a_depth_image_of_another_size_or_kind_is_a_fault(shape, dtype):
    with pytest.raises(rk.DeviceFault, match="not 64x48 float32; let no other program"):
        shape_depth(np.zeros(shape, dtype), FrameConfig(**SIZE))


def test_intrinsics_follow_the_pixels():
    """A bright square stays where the adjusted intrinsics project its middle to."""
    image = np.zeros((480, 640, 3), np.uint8)
    image[180:221, 300:341] = 255
    config = FrameConfig(
        crop_left_px=100, crop_top_px=60, crop_width_px=400, crop_height_px=300, width_px=128, height_px=128
    )
    captured = rk.Intrinsics(fx_px=600.0, fy_px=500.0, cx_px=310.0, cy_px=230.0)
    ray = ((320.0 - captured.cx_px) / captured.fx_px, (200.0 - captured.cy_px) / captured.fy_px)
    rows, columns = np.nonzero(shape_rgb(image, config)[..., 0] > -1)
    weights = shape_rgb(image, config)[rows, columns, 0].astype(float)
    middle = (np.average(columns, weights=weights), np.average(rows, weights=weights))
    lens = shape_intrinsics(captured, config)
    expected = (lens.fx_px * ray[0] + lens.cx_px, lens.fy_px * ray[1] + lens.cy_px)
    np.testing.assert_allclose(middle, expected, atol=0.05)


def test_intrinsics_of_a_delivered_picture_lead_back_to_those_of_the_captured_one():
    captured = rk.Intrinsics(fx_px=600.0, fy_px=500.0, cx_px=310.0, cy_px=230.0)
    config = FrameConfig(
        crop_left_px=100, crop_top_px=60, crop_width_px=400, crop_height_px=300, width_px=128, height_px=90
    )
    found = captured_intrinsics(shape_intrinsics(captured, config), config)
    np.testing.assert_allclose(list(dict(found).values()), list(dict(captured).values()))


@pytest.mark.parametrize(
    ("crop", "is_inside"),
    [
        ({"crop_left_px": 60, "crop_width_px": 4}, True),
        ({"crop_left_px": 60, "crop_width_px": 5}, False),
        ({"crop_top_px": 40, "crop_height_px": 8}, True),
        ({"crop_top_px": 40, "crop_height_px": 9}, False),
        ({"crop_left_px": 63, "crop_top_px": 47}, True),
        ({"crop_left_px": 64}, False),
        ({"crop_top_px": 48}, False),
        ({"crop_left_px": 65}, False),
        ({"crop_top_px": 49}, False),
    ],
)
def test_a_crop_lies_inside_the_picture(crop, is_inside):
    if is_inside:
        cameras.make("opencv", **SIZE, **crop)
        return
    with pytest.raises(rk.InvalidConfiguration, match="does not lie inside the captured 64x48"):
        cameras.make("opencv", **SIZE, **crop)


@pytest.mark.parametrize(
    ("options", "crop", "delivered"),
    [
        ({}, (0, 0, 64, 48), (64, 48)),
        ({"crop_left_px": 4, "crop_top_px": 8}, (4, 8, 60, 40), (60, 40)),
        ({"crop_left_px": 4, "crop_width_px": 20, "height_px": 10}, (4, 0, 20, 48), (20, 10)),
        ({"crop_top_px": 4, "crop_height_px": 20, "width_px": 10}, (0, 4, 64, 20), (10, 20)),
    ],
)
def test_what_no_option_names_is_as_large_as_it_can_be(options, crop, delivered):
    config = FrameConfig(**SIZE, **options)
    assert (config.crop_px, config.delivered_px) == (crop, delivered)
    assert shape_rgb(np.zeros((48, 64, 3), np.uint8), config).shape == (*delivered[::-1], 3)


def test_a_smaller_picture_is_the_mean_of_its_pixels_and_a_larger_one_lies_between_them():
    """A mean of all pixels keeps fine stripes grey; a picture that grows has no steps."""
    stripes = np.where(np.arange(64) % 2, 255, 0).astype(np.uint8)[None, :, None].repeat(48, axis=0).repeat(3, axis=2)
    small = shape_rgb(stripes, FrameConfig(**SIZE, width_px=16, height_px=48))
    assert abs(small.astype(int) - 128).max() <= 1
    edge = np.where(np.arange(64) < 32, 0, 200).astype(np.uint8)[None, :, None].repeat(48, axis=0).repeat(3, axis=2)
    large = shape_rgb(edge, FrameConfig(**SIZE, width_px=256, height_px=96))
    assert len(np.unique(large)) > 3


def test_a_file_is_played_again_and_again_in_its_colours(video):
    seen = []
    with cameras.make("opencv", device=str(video), **SIZE, rate_hz=200.0, max_age_s=10.0) as camera:
        while len(seen) < 12:
            time.sleep(0.001)  # a reader that never rests keeps the interpreter from the thread that plays
            red, green, blue = camera.read().rgb[24, 32].astype(int)
            assert abs(green - 100) < 8
            assert abs(blue - 200) < 8
            number = round(red / 40)
            if not seen or number != seen[-1]:
                seen.append(number)
    assert set(seen) == {1, 2, 3, 4, 5}
    assert sorted(seen) != seen, "it begins again"


def test_a_camera_knows_its_size_before_it_is_connected():
    spec = cameras.make("opencv", rk.CellContext(name="table"), **SIZE, crop_left_px=8, height_px=24).spec
    assert (spec.name, spec.width_px, spec.height_px, spec.intrinsics) == ("table", 56, 24, None)


def test_a_frame_is_cut_and_its_intrinsics_with_it(video):
    lens = {"fx_px": 60.0, "fy_px": 60.0, "cx_px": 31.5, "cy_px": 23.5}
    options = SIZE | {"crop_left_px": 8, "crop_width_px": 48, "width_px": 24, "height_px": 24, "intrinsics": lens}
    with cameras.make("opencv", device=str(video), **options) as camera:
        assert camera.read().rgb.shape == (24, 24, 3)
        assert camera.spec.intrinsics == rk.Intrinsics(fx_px=30.0, fy_px=30.0, cx_px=11.5, cy_px=11.5)


def test_what_cannot_be_opened_says_what_it_is(video):
    with pytest.raises(rk.ConnectionFailed, match="delivers 64x48, not 640x480"):
        cameras.make("opencv", device=str(video)).connect()
    with pytest.raises(rk.ConnectionFailed, match=r"cannot open '/tmp/no-such-file\.avi'"):
        cameras.make("opencv", device="/tmp/no-such-file.avi").connect()


def test_a_file_is_played_at_its_rate_and_a_late_reader_waits_less(video, monkeypatch):
    now_s, naps_s = 100.0, []

    def sleep(seconds: float) -> None:
        nonlocal now_s
        naps_s.append(round(seconds, 6))
        now_s += seconds

    monkeypatch.setattr(opencv_camera, "time", SimpleNamespace(monotonic=lambda: now_s, sleep=sleep))
    config = opencv_camera.OpenCvCameraConfig(device=str(video), **SIZE, rate_hz=10.0)
    capture = opencv_camera._Capture(config, rk.RealClock(now_s=lambda: now_s))
    capture.open()
    stamps_s = []
    for late_s in (0.0, 0.0, 0.03, 0.5, 0.0):
        now_s += late_s
        stamps_s.append(capture.poll().stamp_s)
    assert naps_s == [0.0, 0.1, 0.07, 0.0, 0.1]
    assert stamps_s == pytest.approx([100.0, 100.1, 100.2, 100.7, 100.8])
    assert capture.poll() is None, "the end of the file"
    assert naps_s[-1] <= 0.02
    assert capture.poll() is not None, "its beginning"
    capture.close()
    with pytest.raises(rk.DeviceError, match="closed"):
        capture.poll()


class Capture:
    """A camera that stops sending when it is told to, and that works again once it was reopened."""

    opened = 0
    is_silent = False
    settings: ClassVar[list[tuple[int, float]]] = []
    picture: ClassVar[np.ndarray] = np.zeros((48, 64, 3), np.uint8)

    def __init__(self, device: object) -> None:
        type(self).opened += 1

    def isOpened(self) -> bool:  # noqa: N802  (OpenCV's name)
        return True

    def get(self, what: int) -> float:
        return {cv2.CAP_PROP_FRAME_WIDTH: 64.0, cv2.CAP_PROP_FRAME_HEIGHT: 48.0}[what]

    def set(self, what: int, value: float) -> bool:
        Capture.settings.append((what, value))
        return True

    def read(self) -> tuple[bool, np.ndarray | None]:
        return (False, None) if Capture.is_silent else (True, Capture.picture)

    def release(self) -> None:
        Capture.is_silent = Capture.is_silent and Capture.opened < 3


def test_a_camera_that_stops_is_stale_and_is_opened_again(monkeypatch):
    monkeypatch.setattr(opencv_camera.cv2, "VideoCapture", Capture)
    with cameras.make("opencv", **SIZE, pixel_format="MJPG", max_age_s=0.3, silence_s=0.4) as camera:
        assert camera.read().rgb.shape == (48, 64, 3)
        Capture.is_silent = True
        error = wait_for_error(camera.read, rk.StaleState)
        assert "allowed: 0.3 s" in str(error)
        wait_until(lambda: is_fine(camera.read, rk.StaleState))
        assert Capture.opened == 4


def test_a_camera_is_asked_for_its_format_first_then_for_size_and_rate_and_for_no_queue(monkeypatch):
    """A format of its own has sizes and rates of its own."""
    monkeypatch.setattr(opencv_camera.cv2, "VideoCapture", Capture)
    monkeypatch.setattr(Capture, "settings", [])
    config = opencv_camera.OpenCvCameraConfig(**SIZE, pixel_format="MJPG", rate_hz=60.0)
    opencv_camera._Capture(config, rk.RealClock()).open()
    assert Capture.settings[0] == (cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
    assert dict(Capture.settings[1:]) == {
        cv2.CAP_PROP_FRAME_WIDTH: 64, cv2.CAP_PROP_FRAME_HEIGHT: 48, cv2.CAP_PROP_FPS: 60.0, cv2.CAP_PROP_BUFFERSIZE: 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    "picture",
    [np.zeros((24, 32, 3), np.uint8), np.zeros((96, 128, 3), np.uint8), np.zeros((64, 48, 3), np.uint8),
     np.zeros((48, 64), np.uint8), np.zeros((48, 64, 3), np.uint16)],
    ids=["smaller", "larger", "turned", "grey", "deep"],
)  # fmt: skip
def test_p17_a_picture_that_changes_its_size_is_a_fault(monkeypatch, picture):
    """With its crop, which would show another part of the scene, or nothing."""
    monkeypatch.setattr(opencv_camera.cv2, "VideoCapture", Capture)
    with cameras.make("opencv", **SIZE, crop_left_px=40, crop_top_px=30, max_age_s=60.0) as camera:
        assert camera.read().rgb.shape == (18, 24, 3)
        monkeypatch.setattr(Capture, "picture", picture)
        error = wait_for_error(camera.read, rk.DeviceFault)
        assert "not 64x48x3 uint8" in str(error)
        monkeypatch.undo()
        monkeypatch.setattr(opencv_camera.cv2, "VideoCapture", Capture)
        wait_until(lambda: is_fine(camera.read, rk.DeviceFault))


def test_p17_a_first_picture_of_another_size_ends_the_connecting(monkeypatch):
    monkeypatch.setattr(opencv_camera.cv2, "VideoCapture", Capture)
    monkeypatch.setattr(Capture, "picture", np.zeros((24, 32, 3), np.uint8))
    with pytest.raises(rk.DeviceFault, match="delivers 32x24x3 uint8 now"):
        cameras.make("opencv", **SIZE).connect()


class Late(Source[rk.Frame]):
    """Its pictures were exposed 0.9 s before they come."""

    def open(self) -> None:
        """Nothing to open."""

    def poll(self) -> rk.Frame:
        time.sleep(0.001)
        rgb = np.zeros((48, 64, 3), np.uint8)
        return rk.Frame.unchecked(stamp_s=time.monotonic() - 0.9, rgb=rgb, depth_m=None)

    def close(self) -> None:
        """Nothing to close."""


@pytest.mark.parametrize(("max_age_s", "is_fresh"), [(0.5, False), (60.0, True)])
def test_a_picture_is_as_old_as_its_exposure(max_age_s, is_fresh):
    config = FrameConfig(**SIZE, max_age_s=max_age_s)
    camera = PolledCamera(config, rk.CellContext(name="late", clock=rk.RealClock(now_s=time.monotonic)), Late())
    with camera:
        if is_fresh:
            assert camera.read() is not camera.read(), "each reader has its own"
        else:
            with pytest.raises(rk.StaleState, match=r"nothing new for (0\.9|[1-9])"):
                camera.read()


@pytest.mark.parametrize(("name", "option"), [("opencv", {"device": -1}), ("opencv", {"device": ""}),
                                              ("realsense", {"serial": ""})])  # fmt: skip
def test_p1_a_camera_that_no_one_can_have_is_refused(name, option):
    with pytest.raises(rk.InvalidConfiguration, match=next(iter(option))):
        cameras.validate(name, option)
