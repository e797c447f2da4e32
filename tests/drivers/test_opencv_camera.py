"""Crop and resize, and the OpenCV camera on a video file and on a capture that fails."""

from __future__ import annotations

import time
from typing import ClassVar

import cv2
import numpy as np
import pytest

import robotkit as rk
from robotkit.drivers import opencv_camera
from robotkit.drivers.frames import FrameConfig, shape_depth, shape_intrinsics, shape_rgb
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


def test_a_crop_outside_the_picture_is_refused():
    with pytest.raises(rk.InvalidConfiguration, match="does not lie inside the captured 64x48"):
        cameras.make("opencv", **SIZE, crop_left_px=60, crop_width_px=10)


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


def test_a_frame_is_cut_and_its_intrinsics_with_it(video):
    lens = {"fx_px": 60.0, "fy_px": 60.0, "cx_px": 31.5, "cy_px": 23.5}
    options = SIZE | {"crop_left_px": 8, "crop_width_px": 48, "width_px": 24, "height_px": 24, "intrinsics": lens}
    with cameras.make("opencv", device=str(video), **options) as camera:
        assert camera.read().rgb.shape == (24, 24, 3)
        assert camera.spec.intrinsics == rk.Intrinsics(fx_px=30.0, fy_px=30.0, cx_px=11.5, cy_px=11.5)


def test_what_cannot_be_opened_says_what_it_is(video):
    with pytest.raises(rk.ConnectionFailed, match="delivers 64x48, not 640x480"):
        cameras.make("opencv", device=str(video)).connect()
    with pytest.raises(rk.ConnectionFailed, match=r"no-such-file\.avi"):
        cameras.make("opencv", device="/tmp/no-such-file.avi").connect()


class Capture:
    """A camera that stops sending when it is told to, and that works again once it was reopened."""

    opened = 0
    is_silent = False
    picture: ClassVar[np.ndarray] = np.zeros((48, 64, 3), np.uint8)

    def __init__(self, device: object) -> None:
        type(self).opened += 1

    def isOpened(self) -> bool:  # noqa: N802  (OpenCV's name)
        return True

    def get(self, what: int) -> float:
        return {cv2.CAP_PROP_FRAME_WIDTH: 64.0, cv2.CAP_PROP_FRAME_HEIGHT: 48.0}[what]

    def set(self, what: int, value: float) -> bool:
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


@pytest.mark.parametrize(("name", "option"), [("opencv", {"device": -1}), ("opencv", {"device": ""}),
                                              ("realsense", {"serial": ""})])  # fmt: skip
def test_p1_a_camera_that_no_one_can_have_is_refused(name, option):
    with pytest.raises(rk.InvalidConfiguration, match=next(iter(option))):
        cameras.validate(name, option)
