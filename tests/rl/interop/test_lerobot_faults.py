"""LeRobotDatasets of others that contradict themselves are refused in words."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rl.cli.data import Target
from rl.data.demos import DemoWriter
from rl.errors import DataError
from rl.interop import lerobot
from rl.interop.lerobot_export import LeRobotOptions, export_lerobot
from rl.interop.lerobot_import import import_lerobot
from rl.interop.lerobot_video import decode_video, encode_video
from tests.rl.interop.lerobot_sets import ACTIONS, ENDS, FLAT, SIZE, damage, demos, episode_of, version_2_1
from tests.support.tiny_env import FollowTarget

CONTRADICTIONS = {
    "a row is missing": (lambda rows: rows.filter(np.arange(10) != 2), "3 rows and not 4"),
    "an episode twice": (lambda rows: pa.concat_tables([rows, rows.slice(4, 3)]), "6 rows and not 3"),
    "reversed": (lambda rows: pa.concat_tables([rows.slice(step, 1) for step in range(9, -1, -1)]), "row 0 is frame 3"),
    "two rows changed places": (lambda rows: rows.take([0, 2, 1, *range(3, 10)]), "row 1 is frame 2"),
    "an end in the middle": (
        lambda rows: rows.set_column(
            rows.schema.get_field_index(lerobot.DONE), lerobot.DONE, [np.isin(np.arange(10), (1, 3, 6, 7, 9))]
        ),
        "next.done is set at frame 1",
    ),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
@pytest.mark.parametrize("is_old", [False, True])
def test_p6_rows_that_contradict_the_description_are_refused(tmp_path: Path, name: str, is_old: bool):
    change, said = CONTRADICTIONS[name]
    export_lerobot(demos(tmp_path / "demos", FLAT), tmp_path / "set", LeRobotOptions(fps=10))
    (data,) = (tmp_path / "set").glob("data/*/*.parquet")
    pq.write_table(change(pq.read_table(data)), data)
    if is_old:
        version_2_1(tmp_path / "set")
        lines = [json.dumps({"episode_index": k, "length": length}) for k, (length, *_) in enumerate(ENDS)]
        (tmp_path / "set" / lerobot.OLD_EPISODES).write_text("\n".join(lines))
    with pytest.raises(DataError, match=said):
        import_lerobot(tmp_path / "set", tmp_path / "back", None)
    assert not (tmp_path / "back").exists()


def test_p6_episodes_and_frames_are_as_many_as_the_dataset_says(tmp_path: Path):
    for number, (changed, said) in enumerate(
        (({"total_episodes": 5}, "tells of 5 episodes"), ({"total_frames": 11}, "tells of 11 frames"))
    ):
        root = tmp_path / f"set{number}"
        export_lerobot(demos(tmp_path / f"demos{number}", FLAT), root, LeRobotOptions(fps=10))
        damage(root, **changed)
        with pytest.raises(DataError, match=said):
            import_lerobot(root, tmp_path / "back", None)


ODD_INFO: tuple[dict[str, Any], ...] = (
    {"fps": 0}, {"fps": None}, {"fps": "fast"}, {"features": None}, {"features": [1]}, {"features": {"action": 3}},
    {"features": {"action": {"shape": [2]}}}, {"total_episodes": "many"}, {"total_episodes": -1}, {"data_path": None},
    {"data_path": "data/{nobody}.parquet"}, {"data_path": "data/{0}.parquet"}, {"data_path": "data/{"},
    {"codebase_version": 3}, {"codebase_version": None},
)  # fmt: skip


@pytest.mark.parametrize("changed", ODD_INFO, ids=str)
def test_p14_an_odd_description_is_one_sentence(tmp_path: Path, changed: dict[str, Any]):
    export_lerobot(demos(tmp_path / "demos", FLAT), tmp_path / "set", LeRobotOptions(fps=10))
    damage(tmp_path / "set", **changed)
    with pytest.raises(DataError):
        import_lerobot(tmp_path / "set", tmp_path / "back", None)


def test_p14_a_description_without_a_field_is_one_sentence(tmp_path: Path):
    export_lerobot(demos(tmp_path / "demos", FLAT), tmp_path / "set", LeRobotOptions(fps=10))
    known = json.loads((tmp_path / "set" / lerobot.INFO).read_text())
    for name in ("codebase_version", "fps", "features", "total_episodes", "total_frames", "data_path"):
        rest = {key: value for key, value in known.items() if key != name}
        (tmp_path / "set" / lerobot.INFO).write_text(json.dumps(rest))
        with pytest.raises(DataError):
            import_lerobot(tmp_path / "set", tmp_path / "back", None)


def grey_video(path: Path, fps: int, count: int) -> Path:
    """Frame k has the grey level 8 k."""
    levels = (8 * np.arange(count, dtype=np.uint8))[:, None, None, None]
    encode_video(path, np.broadcast_to(levels, (count, SIZE, SIZE, 3)), fps)
    return path


@pytest.mark.parametrize(
    ("video_fps", "data_fps", "frames"),
    [(30, 10, [0, 3, 6, 9]), (10, 10, [0, 1, 2, 3]), (30, 25, [0, 1, 2, 4]), (50, 30, [0, 2, 3, 5])],
)
def test_p16_the_nearest_frame_of_a_video_is_taken(tmp_path: Path, video_fps: int, data_fps: int, frames: list[int]):
    video = grey_video(tmp_path / "grey.mp4", video_fps, 12)
    found = decode_video(video, np.arange(4) / data_fps + 1e-6, 0.5 / data_fps)
    np.testing.assert_array_equal(np.round(found.mean(axis=(1, 2, 3)) / 8), frames)


def test_p16_more_than_half_a_frame_of_drift_is_refused(tmp_path: Path):
    video = grey_video(tmp_path / "grey.mp4", 10, 4)
    for times_s in ([0.0, 0.16], [0.0, 0.46], [-0.2, 0.1]):
        with pytest.raises(DataError, match="no frame within"):
            decode_video(video, np.array(times_s), 0.03)


def test_p7_the_rate_is_that_of_the_recording(tmp_path: Path):
    with DemoWriter(tmp_path / "demos", FLAT.observation, ACTIONS) as writer:
        writer.write_episode(
            episode_of(FLAT.observation, 0, 4, terminated=True), success=True, origin={"rate_hz": 50.0}
        )
    export_lerobot(tmp_path / "demos", tmp_path / "set", LeRobotOptions())
    assert json.loads((tmp_path / "set" / lerobot.INFO).read_text())["fps"] == 50
    with pytest.raises(DataError, match="recorded at 50 actions per second"):
        export_lerobot(tmp_path / "demos", tmp_path / "other", LeRobotOptions(fps=10))
    with pytest.raises(DataError, match="does not tell its rate"):
        export_lerobot(demos(tmp_path / "silent", FLAT), tmp_path / "other", LeRobotOptions())
    with pytest.raises(DataError, match="environment takes 10"):
        import_lerobot(tmp_path / "set", tmp_path / "back", replace(FLAT, rate_hz=10.0))
    import_lerobot(tmp_path / "set", tmp_path / "back", replace(FLAT, rate_hz=50.0))
    export_lerobot(tmp_path / "back", tmp_path / "again", LeRobotOptions())
    assert json.loads((tmp_path / "again" / lerobot.INFO).read_text())["fps"] == 50


def test_p7_the_rate_of_an_environment_whose_pictures_have_another_can_be_given(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(FollowTarget.metadata, "render_fps", 30)
    env = "tests.support.tiny_env:FollowTarget-v0"
    assert Target(env).spaces().rate_hz == 30.0
    assert Target(env, steps_hz=20.0).spaces().rate_hz == 20.0
