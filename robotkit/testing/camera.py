"""`CameraContract`: the laws of every camera."""

from __future__ import annotations

import numpy as np
import pytest

import robotkit as rk
from robotkit.testing import moves
from robotkit.testing.cell_contract import CellContract
from robotkit.workcell import Workcell


class CameraContract(CellContract):
    """Laws of every camera, checked on the first camera of the cell; the arm may be the fake one.

    Overriding the fixture `camera` selects another one.
    """

    @pytest.fixture
    def camera(self, cell: Workcell) -> rk.BaseCamera:
        """The camera under test."""
        return next(iter(cell.cameras.values()))

    def test_frames_have_the_size_of_the_spec(self, cell: Workcell) -> None:
        """Images have the size and the types of the spec."""
        for camera in cell.cameras.values():
            frame = camera.read()
            assert frame.rgb.shape == (camera.spec.height_px, camera.spec.width_px, 3)
            assert frame.rgb.dtype == np.uint8
            if frame.depth_m is not None:
                assert frame.depth_m.shape == frame.rgb.shape[:2]
                assert frame.depth_m.dtype == np.float32

    def test_a_frame_is_nobody_elses_memory(self, camera: rk.BaseCamera) -> None:
        """A frame is not overwritten by the next one."""
        first = camera.read()
        kept = first.rgb.copy()
        second = camera.read()
        assert not np.shares_memory(first.rgb, second.rgb)
        np.testing.assert_array_equal(first.rgb, kept)

    def test_an_image_shows_something(self, camera: rk.BaseCamera) -> None:
        """An image is not of one colour."""
        assert camera.read().rgb.std() > 1.0

    def test_frame_stamps_never_go_back(self, cell: Workcell, camera: rk.BaseCamera) -> None:
        """Stamps grow."""
        stamps = []
        for _ in range(4):
            stamps.append(camera.read().stamp_s)
            moves.wait(cell, 0.04)
        assert stamps == sorted(stamps)
        assert stamps[-1] > stamps[0]

    def test_a_disconnected_camera_says_so(self, cell: Workcell, camera: rk.BaseCamera) -> None:
        """A disconnected camera raises `NotConnected`."""
        cell.disconnect()
        with pytest.raises(rk.NotConnected):
            camera.read()
