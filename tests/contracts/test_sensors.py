"""Laws of every camera and every pose tracker."""

from __future__ import annotations

import numpy as np
import pytest

import robotkit as rk
from tests.contracts import moves


@pytest.fixture
def camera(cell):
    return next(iter(cell.cameras.values()))


@pytest.fixture
def tracker(cell):
    return next(iter(cell.trackers.values()))


def test_frames_have_the_size_of_the_spec(cell):
    for camera in cell.cameras.values():
        frame = camera.read()
        assert frame.rgb.shape == (camera.spec.height_px, camera.spec.width_px, 3)
        assert frame.rgb.dtype == np.uint8
        if frame.depth_m is not None:
            assert frame.depth_m.shape == frame.rgb.shape[:2]
            assert frame.depth_m.dtype == np.float32


def test_a_frame_is_nobody_elses_memory(camera):
    first = camera.read()
    kept = first.rgb.copy()
    second = camera.read()
    assert not np.shares_memory(first.rgb, second.rgb)
    np.testing.assert_array_equal(first.rgb, kept)


def test_an_image_shows_something(camera):
    assert camera.read().rgb.std() > 1.0


def test_frame_stamps_never_go_back(cell, camera):
    stamps = []
    for _ in range(4):
        stamps.append(camera.read().stamp_s)
        moves.wait(cell, 0.04)
    assert stamps == sorted(stamps)
    assert stamps[-1] > stamps[0]


def test_a_tracked_pose_is_a_pose(tracker):
    tracked = tracker.get_pose()
    assert tracked.pose_in_base.shape == (7,)
    assert np.linalg.norm(tracked.pose_in_base[3:]) == pytest.approx(1.0, abs=1e-6)


def test_an_object_is_found_where_it_was_put(cell):
    if not cell.can_place_objects:
        pytest.skip("this cell has no world that could place objects")
    name, tracker = next(iter(cell.trackers.items()))
    pose = tracker.get_pose().pose_in_base.copy()
    pose[:2] += [0.03, -0.04]
    state = cell.reset(seed=1, object_poses_in_base={name: pose})
    np.testing.assert_allclose(state.poses[name].pose_in_base[:2], pose[:2], atol=5e-3)
    np.testing.assert_allclose(tracker.get_pose().pose_in_base[:2], pose[:2], atol=5e-3)


def test_disconnected_sensors_say_so(cell, camera, tracker):
    cell.disconnect()
    with pytest.raises(rk.NotConnected):
        camera.read()
    with pytest.raises(rk.NotConnected):
        tracker.get_pose()
