"""The suite of cameras and trackers over a video, a recording, and a tag in the picture."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import robotkit as rk
from robotkit.testing import CameraContract, TrackerContract
from tests.support import realsense_recording as recordings
from tests.support import tag_picture


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sensors")
    recordings.record(folder / "camera.db3")
    rgb = tag_picture.take(tag_picture.tag_pose_in_camera(0.0, 0.0, 0.4, 0.3, 0.0))
    tag_picture.write_video(folder / "tag.avi", [rgb] * 5)
    return folder


class _Recorded:
    @pytest.fixture(params=["opencv", "realsense"])
    def cell(self, request: pytest.FixtureRequest, folder: Path) -> Iterator[rk.Workcell]:
        video = rk.PluginRef(type="opencv", options={"device": str(folder / "tag.avi"), "intrinsics": tag_picture.LENS})
        recorded = rk.PluginRef(
            type="realsense",
            options={
                "recording": folder / "camera.db3", "capture_width_px": recordings.WIDTH,
                "capture_height_px": recordings.HEIGHT, "has_depth": True, "width_px": 64, "height_px": 48,
            },
        )  # fmt: skip
        # The suite looks at the first camera; the tag is only in the video.
        named = {"opencv": {"table": video}, "realsense": {"wrist": recorded, "table": video}}[request.param]
        tag = rk.PluginRef(
            type="apriltag",
            options={
                "camera": "table", "camera_pose_in_base": np.array([0.5, 0, 0.6, 1, 0, 0, 0.0]),
                "tag_id": tag_picture.TAG_ID, "size_m": tag_picture.SIZE_M,
            },
        )  # fmt: skip
        config = rk.WorkcellConfig(
            name="bench", robot=rk.PluginRef(type="fake"), cameras=named, trackers={"block": tag}
        )
        with rk.make_workcell(config) as built:
            yield built


class TestCameras(_Recorded, CameraContract):
    pass


class TestTrackers(_Recorded, TrackerContract):
    pass
