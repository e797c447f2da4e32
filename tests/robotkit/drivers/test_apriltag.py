"""The fiducial tracker finds tags where they were drawn."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

import robotkit as rk
from robotkit import spatial
from robotkit.drivers.fake.world import ManualClock
from robotkit.drivers.tags import TagDetector
from robotkit.registry import trackers
from tests.support import tag_picture
from tests.support.tag_picture import StillCamera, tag_pose_in_camera, take
from tests.support.waiting import is_fine, wait_for_error, wait_until

CAMERA_IN_BASE = spatial.make_pose(
    np.array([0.6, 0.1, 0.7]), spatial.quaternion_from_rotation_vector(np.array([2.9, 0.2, -0.1]))
)
OPTIONS = {
    "camera": "front", "camera_pose_in_base": CAMERA_IN_BASE, "tag_id": tag_picture.TAG_ID,
    "size_m": tag_picture.SIZE_M,
}  # fmt: skip


def tracker_on(camera: StillCamera, **options: object) -> rk.BasePoseTracker:
    context = rk.CellContext(name="block", clock=camera.context.clock, cameras={"front": camera})
    return trackers.make("apriltag", context, **(OPTIONS | options))


@pytest.mark.parametrize(
    "in_camera",
    [(0.0, 0.0, 0.4, 0.35, 0.0), (0.08, -0.05, 0.5, 0.5, 1.2), (-0.1, 0.06, 0.35, -0.6, -2.5), (0, 0.1, 0.55, 0.7, 3)],
)
def test_a_tag_is_found_where_it_was_drawn(in_camera):
    camera = StillCamera(ManualClock())
    drawn = tag_pose_in_camera(*in_camera)
    camera.rgb = take(drawn)
    with tracker_on(camera) as tracker:
        found = tracker.get_pose().pose_in_base
    expected = spatial.compose(CAMERA_IN_BASE, drawn)
    assert spatial.distance_between(found, expected) < 0.01 * in_camera[2]
    assert spatial.angle_between(found[3:], expected[3:]) < np.deg2rad(2.0)


def test_the_object_is_where_its_tag_says():
    camera = StillCamera(ManualClock())
    camera.rgb = take(tag_pose_in_camera(0.02, 0.01, 0.4, 0.4, 0.3))
    on_object = spatial.make_pose(np.array([0.0, 0.02, 0.05]), np.array([0.0, 0.0, np.sin(0.4), np.cos(0.4)]))
    with tracker_on(camera) as bare, tracker_on(camera, tag_pose_in_object=on_object) as tracker:
        tag, body = bare.get_pose().pose_in_base, tracker.get_pose().pose_in_base
    np.testing.assert_allclose(spatial.compose(body, on_object)[:3], tag[:3], atol=1e-9)


def test_other_tags_are_not_taken_for_it():
    camera = StillCamera(ManualClock())
    camera.rgb = take(tag_pose_in_camera(0.0, 0.0, 0.4, 0.3, 0.0), tag_id=tag_picture.TAG_ID + 1)
    with tracker_on(camera) as tracker, pytest.raises(rk.StaleState, match="tag 3 of tag36h11"):
        tracker.get_pose()


@pytest.mark.parametrize("clock", [ManualClock, rk.RealClock])
def test_a_covered_tag_is_stale_after_the_allowed_age_and_comes_back(clock):
    camera = StillCamera(clock())
    seen = take(tag_pose_in_camera(0.0, 0.0, 0.4, 0.3, 0.0))
    camera.rgb = seen
    with tracker_on(camera, max_age_s=0.3) as tracker:
        stamp_s = tracker.get_pose().stamp_s
        camera.rgb = np.full_like(seen, 120)
        assert tracker.get_pose().stamp_s >= stamp_s
        camera.context.clock.advance(0.35)
        error = wait_for_error(tracker.get_pose, rk.StaleState)
        assert "in sight" in str(error)
        camera.rgb = seen
        camera.context.clock.advance(0.05)
        wait_until(lambda: is_fine(tracker.get_pose, rk.StaleState))


def test_a_camera_that_fails_makes_the_pose_stale_and_is_named():
    camera = StillCamera(rk.RealClock())
    camera.rgb = take(tag_pose_in_camera(0.0, 0.0, 0.4, 0.3, 0.0))
    with tracker_on(camera, max_age_s=0.2) as tracker:
        camera.disconnect()
        error = wait_for_error(tracker.get_pose, rk.StaleState)
        assert "NotConnected" in str(error)
        camera.connect()
        wait_until(lambda: is_fine(tracker.get_pose, rk.StaleState))


def test_what_is_missing_is_said_before_anything_runs():
    with pytest.raises(rk.InvalidConfiguration, match=r"'front'.*it has: none"):
        trackers.make("apriltag", **OPTIONS)
    with pytest.raises(rk.InvalidConfiguration, match="intrinsics"):
        tracker_on(StillCamera(ManualClock(), lens=None)).connect()


def test_a_pose_of_a_picture_that_is_too_old_is_stale_however_late_it_came():
    camera = StillCamera(rk.RealClock())
    camera.rgb = take(tag_pose_in_camera(0.0, 0.0, 0.4, 0.3, 0.0))
    read = camera.read

    def read_late() -> rk.Frame:
        frame = read()
        return frame.model_copy(update={"stamp_s": frame.stamp_s - 0.4})

    with tracker_on(camera, max_age_s=0.3) as tracker:
        tracker.get_pose()
        camera.read = read_late
        wait_for_error(tracker.get_pose, rk.StaleState)


def test_m12_a_second_connection_has_not_seen_the_tag():
    camera = StillCamera(ManualClock())
    camera.rgb = take(tag_pose_in_camera(0.0, 0.0, 0.4, 0.3, 0.0))
    tracker = tracker_on(camera)
    with tracker:
        tracker.get_pose()
    camera.rgb = np.full_like(camera.rgb, 120)
    with tracker, pytest.raises(rk.StaleState):
        tracker.get_pose()


def test_a_lens_that_distorts_is_corrected_when_its_coefficients_are_given(monkeypatch):
    drawn, lens = tag_pose_in_camera(0.05, -0.04, 0.4, 0.4, 0.5), tag_picture.LENS
    matrix = np.array([[lens.fx_px, 0.0, lens.cx_px], [0.0, lens.fy_px, lens.cy_px], [0.0, 0.0, 1.0]])
    coefficients = (0.3, -0.2, 0.01, -0.02)
    rotation = spatial.rotation_vector_between(np.array((0.0, 0.0, 0.0, 1.0)), drawn[3:])
    square_m = tag_picture.SIZE_M / 2 * np.array([[-1, 1, 0], [1, 1, 0], [1, -1, 0], [-1, -1, 0.0]])
    corners_px, _ = cv2.projectPoints(square_m, rotation, drawn[:3], matrix, np.array(coefficients))
    monkeypatch.setattr(TagDetector, "find", lambda detector, grey: corners_px.reshape(4, 2))
    off_m = []
    for distortion in (coefficients, ()):
        with tracker_on(StillCamera(ManualClock()), distortion=distortion) as tracker:
            found = tracker.get_pose().pose_in_base
        off_m.append(spatial.distance_between(found, spatial.compose(CAMERA_IN_BASE, drawn)))
    assert off_m[0] < 1e-9
    assert off_m[1] > 1e-3


def test_a_picture_that_was_looked_at_is_not_looked_at_again(monkeypatch):
    camera, looks = StillCamera(ManualClock()), []
    camera.rgb = take(tag_pose_in_camera(0.0, 0.0, 0.4, 0.3, 0.0))
    find = TagDetector.find
    monkeypatch.setattr(TagDetector, "find", lambda detector, grey: (looks.append(grey), find(detector, grey))[1])
    with tracker_on(camera) as tracker:
        first = tracker.get_pose()
        assert tracker.get_pose() is first
        assert len(looks) == 1
        camera.context.clock.advance(0.1)
        assert tracker.get_pose().stamp_s == pytest.approx(0.1)
        tracker.connect()
        assert len(looks) == 2, "a second connect changes nothing"
    assert not tracker.is_connected
    with pytest.raises(rk.NotConnected):
        tracker.get_pose()


def test_a_pose_may_be_just_as_old_as_allowed():
    camera = StillCamera(ManualClock())
    seen = take(tag_pose_in_camera(0.0, 0.0, 0.4, 0.3, 0.0))
    camera.rgb = seen
    with tracker_on(camera, max_age_s=0.25) as tracker:
        tracker.get_pose()
        camera.rgb = np.full_like(seen, 120)
        camera.context.clock.advance(0.25)
        tracker.get_pose()
        camera.context.clock.advance(0.01)
        with pytest.raises(rk.StaleState, match="tracker 'block': tag 3 of tag36h11 has to be in sight"):
            tracker.get_pose()


def test_corners_without_a_solution_are_no_pose(monkeypatch):
    camera = StillCamera(ManualClock())
    camera.rgb = take(tag_pose_in_camera(0.0, 0.0, 0.4, 0.3, 0.0))
    nan = np.full((3, 1), np.nan)
    with tracker_on(camera) as tracker:
        monkeypatch.setattr(cv2, "solvePnP", lambda *arguments, **options: (True, nan, nan))
        with pytest.raises(rk.StaleState):
            tracker.get_pose()


@pytest.mark.parametrize("count", range(16))
def test_p1_a_lens_has_as_many_coefficients_as_one_of_opencvs_models(count):
    """What OpenCV itself refuses is refused before, but for the model of a tilted sensor without its tilt."""
    distortion = (0.01,) * count
    try:
        cv2.undistortPoints(np.zeros((1, 1, 2)), np.eye(3), np.array(distortion))
    except cv2.error:
        with pytest.raises(rk.InvalidConfiguration, match=f"{count} coefficients"):
            trackers.validate("apriltag", OPTIONS | {"distortion": distortion})
    else:
        trackers.validate("apriltag", OPTIONS | {"distortion": distortion})


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [("tag_id", 587, "0 to 586"), ("distortion", (0.1, 0.2, 0.3), "3 coefficients"), ("size_m", 0.0, "size_m")],
)
def test_p1_what_can_never_be_found_is_refused(option, value, words):
    with pytest.raises(rk.InvalidConfiguration, match=words):
        trackers.validate("apriltag", OPTIONS | {option: value})
