"""Demonstrations survive the way through a LeRobotDataset, and datasets of others mean what they say."""

import json
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rl.cli import main
from rl.data.demos import DemoSummary, DemoWriter, load_demos, summarize_demos
from rl.data.replay_buffer import ReplayBuffer
from rl.errors import ConfigError, DataError, MissingExtra
from rl.interop import lerobot
from rl.interop.demo_import import Spaces
from rl.interop.lerobot_export import LeRobotOptions, export_lerobot
from rl.interop.lerobot_import import import_lerobot
from rl.interop.lerobot_stats import Statistics, summarize
from rl.interop.lerobot_video import decode_video, encode_video
from tests.rl.interop.lerobot_sets import (
    ACTIONS,
    BOX,
    ENDS,
    FLAT,
    SIZE,
    cameras,
    content,
    damage,
    demos,
    episode_of,
    frame,
    version_2_1,
)

SPACES = {
    "vector": FLAT,
    "cameras": cameras(),
    "one frame": cameras((1,)),
    "three frames": cameras((3,)),
    "one image": Spaces(BOX(0, 255, (SIZE, SIZE, 3), np.uint8), ACTIONS),
    "parts": Spaces(gym.spaces.Dict(pose=BOX(-1, 1, (7,), np.float64), width=BOX(0, 1, (1,), np.float32)), ACTIONS),
}


@pytest.mark.parametrize("name", SPACES)
def test_nothing_changes_on_the_way_there_and_back(tmp_path: Path, name: str):
    """Observations, actions, rewards, ends, successes and spaces; LR5: terminated and truncated stay apart."""
    source = demos(tmp_path / "demos", SPACES[name])
    assert export_lerobot(source, tmp_path / "set", LeRobotOptions(fps=10)) == len(ENDS)
    summary = import_lerobot(tmp_path / "set", tmp_path / "back", None)
    assert summary == summarize_demos(source)
    for (found, good), (expected, was_good) in zip(content(tmp_path / "back"), content(source), strict=True):
        np.testing.assert_equal(found, expected)
        assert good == was_good
    buffer = ReplayBuffer(SPACES[name].observation, ACTIONS, 10, seed=0)
    assert load_demos(tmp_path / "back", buffer, SPACES[name].observation, ACTIONS).transitions == 10


def test_videos_are_close_and_everything_else_is_exact(tmp_path: Path):
    source = demos(tmp_path / "demos", cameras((1,)))
    export_lerobot(source, tmp_path / "set", LeRobotOptions(fps=15, images="video"))
    assert len(list((tmp_path / "set").glob("videos/observation.images.*/chunk-000/*.mp4"))) == 2 * len(ENDS)
    import_lerobot(tmp_path / "set", tmp_path / "back", None)
    for (found, _), (expected, _) in zip(content(tmp_path / "back"), content(source), strict=True):
        for key in ("observations", "next_observations"):
            for camera in ("front", "wrist"):
                difference = found[key].pop(camera).astype(int) - expected[key].pop(camera)
                assert np.abs(difference).mean() < 4, "quantised colours, not other frames"
        np.testing.assert_equal(found, expected)


def test_the_penalty_travels_under_lerobots_name(tmp_path: Path):
    source = demos(tmp_path / "demos", FLAT, grasp_penalty=-0.5, is_intervention=1.0)
    export_lerobot(source, tmp_path / "set", LeRobotOptions(fps=10))
    features = json.loads((tmp_path / "set" / lerobot.INFO).read_text())["features"]
    assert {"complementary_info.discrete_penalty", "complementary_info.is_intervention"} <= features.keys()
    import_lerobot(tmp_path / "set", tmp_path / "back", None)
    np.testing.assert_equal(content(tmp_path / "back"), content(source))


def test_the_dataset_says_what_the_format_asks_for(tmp_path: Path):
    export_lerobot(demos(tmp_path / "demos", FLAT), tmp_path / "set", LeRobotOptions(fps=5, task="lift", robot="panda"))
    root = tmp_path / "set"
    info = json.loads((root / lerobot.INFO).read_text())
    assert (info["codebase_version"], info["fps"], info["robot_type"]) == ("v3.0", 5, "panda")
    assert (info["total_episodes"], info["total_frames"], info["splits"]) == (4, 10, {"train": "0:4"})
    rows = pq.read_table(root / lerobot.DATA.format(chunk_index=0, file_index=0)).to_pydict()
    assert rows.keys() == info["features"].keys()
    assert rows["index"] == list(range(10))
    assert rows["frame_index"] == [0, 1, 2, 3, 0, 1, 2, 0, 0, 1]
    assert rows["episode_index"] == [0, 0, 0, 0, 1, 1, 1, 2, 3, 3]
    np.testing.assert_allclose(rows["timestamp"], np.array(rows["frame_index"]) / 5, rtol=1e-6)
    ends = {"done": [3, 6, 7, 9], "terminated": [3, 7], "truncated": [6, 9], "success": [3, 9]}
    for name, expected in ends.items():
        assert list(np.flatnonzero(rows[f"next.{name}"])) == expected
    episodes = pq.read_table(root / "meta" / "episodes").to_pylist()
    assert [(row["dataset_from_index"], row["dataset_to_index"]) for row in episodes] == [
        (0, 4),
        (4, 7),
        (7, 8),
        (8, 10),
    ]
    assert {tuple(row["tasks"]) for row in episodes} == {("lift",)}
    stats = json.loads((root / lerobot.STATS).read_text())
    np.testing.assert_allclose(stats["next.reward"]["mean"], [np.mean(rows["next.reward"])], rtol=1e-6)


def foreign(root: Path, *, drop: tuple[str, ...] = ()) -> Path:
    """What another program would have recorded: without our own columns and files."""
    source = demos(root.with_name("source"), FLAT)
    export_lerobot(source, root, LeRobotOptions(fps=10))
    for name in (lerobot.SPACES, lerobot.CLOSING):
        (root / name).unlink()
    drop = (lerobot.TERMINATED, lerobot.TRUNCATED, *drop)
    info = json.loads((root / lerobot.INFO).read_text())
    info["features"] = {name: feature for name, feature in info["features"].items() if name not in drop}
    (root / lerobot.INFO).write_text(json.dumps(info))
    (data,) = root.glob("data/*/*.parquet")
    pq.write_table(pq.read_table(data).drop_columns(list(drop)), data)
    return root


def test_a_cut_episode_of_others_loses_its_last_step_and_no_value(tmp_path: Path):
    """LR5: at the end of an episode the next observation is never the same one again where it would be bootstrapped."""
    import_lerobot(foreign(tmp_path / "set"), tmp_path / "back", None)
    found = content(tmp_path / "back")
    # Episode 0 ends in success; 1 was cut; 2 is one step without success, of which nothing is left; 3 ends in success.
    assert [len(batch["rewards"]) for batch, _ in found] == [4, 2, 2]
    assert [(batch["masks"][-1], batch["dones"][-1]) for batch, _ in found] == [(0, 1), (1, 1), (0, 1)]
    assert [good for _, good in found] == [True, False, True]
    for (batch, _), number in zip(found, (0, 1, 3), strict=True):
        steps = range(len(batch["rewards"]))
        expected = np.stack([frame(FLAT.observation, number, step) for step in steps])
        np.testing.assert_array_equal(batch["observations"]["state"], expected)
        np.testing.assert_array_equal(batch["next_observations"]["state"][:-1], expected[1:])
    np.testing.assert_array_equal(found[1][0]["next_observations"]["state"][-1], frame(FLAT.observation, 1, 2))


def test_without_success_the_reward_tells(tmp_path: Path):
    import_lerobot(foreign(tmp_path / "set", drop=(lerobot.SUCCESS,)), tmp_path / "back", None)
    assert [good for _, good in content(tmp_path / "back")] == [True, True, True, True], (
        "their last rewards are positive"
    )


def test_datasets_without_rewards_need_a_word(tmp_path: Path):
    root = foreign(tmp_path / "set", drop=(lerobot.REWARD, lerobot.SUCCESS))
    with pytest.raises(DataError, match="--final-reward"):
        import_lerobot(root, tmp_path / "back", None)
    assert import_lerobot(root, tmp_path / "back", None, 2.0) == DemoSummary(4, 10, 2.0, 4)
    for batch, _ in content(tmp_path / "back"):
        np.testing.assert_array_equal(batch["rewards"], 2.0 * batch["dones"])
        np.testing.assert_array_equal(batch["masks"], 1.0 - batch["dones"])


@pytest.mark.parametrize("images", ["png", "video"])
def test_the_older_version_reads_the_same(tmp_path: Path, images: Any):
    export_lerobot(demos(tmp_path / "demos", cameras((2,))), tmp_path / "set", LeRobotOptions(fps=10, images=images))
    import_lerobot(tmp_path / "set", tmp_path / "new", None)
    import_lerobot(version_2_1(tmp_path / "set"), tmp_path / "old", None)
    np.testing.assert_equal(content(tmp_path / "old"), content(tmp_path / "new"))


def test_episodes_may_share_a_video(tmp_path: Path):
    """Other programs put many episodes into one file; each starts at its own time."""
    source = demos(tmp_path / "demos", cameras())
    export_lerobot(source, tmp_path / "set", LeRobotOptions(fps=10, images="video"))
    import_lerobot(tmp_path / "set", tmp_path / "apart", None)
    join_videos(tmp_path / "set")
    import_lerobot(tmp_path / "set", tmp_path / "together", None)
    for (found, _), (expected, _) in zip(content(tmp_path / "together"), content(tmp_path / "apart"), strict=True):
        difference = found["observations"]["front"].astype(int) - expected["observations"]["front"]
        assert np.abs(difference).mean() < 4


def join_videos(root: Path) -> None:
    (file,) = root.glob("meta/episodes/*/*.parquet")
    rows = pq.read_table(file).to_pylist()
    for folder in root.glob("videos/*"):
        videos = sorted(folder.glob("chunk-000/*.mp4"))
        parts = [
            decode_video(video, np.arange(row["length"]) / 10, 0.01) for video, row in zip(videos, rows, strict=True)
        ]
        for video in videos:
            video.unlink()
        encode_video(videos[0], np.concatenate(parts), 10)
        for row in rows:
            row[f"videos/{folder.name}/file_index"] = 0
            row[f"videos/{folder.name}/from_timestamp"] = row["dataset_from_index"] / 10
    pq.write_table(pa.Table.from_pylist(rows), file)


def test_frames_are_stacked_for_the_environment_that_asks(tmp_path: Path):
    """A dataset holds single frames: an environment with stacks of three gets those that it would have given."""
    export_lerobot(demos(tmp_path / "demos", cameras()), tmp_path / "set", LeRobotOptions(fps=10))
    import_lerobot(tmp_path / "set", tmp_path / "back", cameras((3,)))
    expected = demos(tmp_path / "expected", cameras((3,)))
    np.testing.assert_equal(content(tmp_path / "back"), content(expected))
    flat = Spaces(BOX(-np.inf, np.inf, (6,), np.float32), ACTIONS)
    import_lerobot(tmp_path / "set", tmp_path / "flat", flat)
    batch = content(tmp_path / "flat")[0][0]
    np.testing.assert_array_equal(
        batch["observations"][:, 3:], content(tmp_path / "demos")[0][0]["observations"]["state"]
    )
    np.testing.assert_array_equal(batch["next_observations"][:, :3], batch["observations"][:, 3:])


def test_transitions_that_do_not_follow_one_another_are_refused(tmp_path: Path):
    with DemoWriter(tmp_path / "demos", FLAT.observation, ACTIONS) as writer:
        steps = episode_of(FLAT.observation, 0, 4, terminated=True)
        writer.write_episode([*steps[:2], steps[3]], success=True)
    with pytest.raises(DataError, match="does not go on"):
        export_lerobot(tmp_path / "demos", tmp_path / "set", LeRobotOptions(fps=10))
    assert not list(tmp_path.glob("*set*")), "LR6: a directory appears when it is complete"


def test_what_cannot_be_exported_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    source = demos(tmp_path / "demos", FLAT)
    (tmp_path / "taken").mkdir()
    with pytest.raises(DataError, match="exists already"):
        export_lerobot(source, tmp_path / "taken", LeRobotOptions(fps=10))
    with pytest.raises(ConfigError, match="fps"):
        LeRobotOptions(fps=0)
    odd = Spaces(BOX(0, 255, (9, 8, 3), np.uint8), ACTIONS)
    with pytest.raises(DataError, match="--images png"):
        export_lerobot(demos(tmp_path / "odd", odd), tmp_path / "set", LeRobotOptions(fps=10, images="video"))
    with pytest.raises(DataError, match="no place"):
        lerobot.columns_of(gym.spaces.Dict(mode=gym.spaces.Discrete(3)))
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(MissingExtra, match=r"pip install 'robotkit\[lerobot\]'"):
        export_lerobot(source, tmp_path / "set", LeRobotOptions(fps=10))


def test_damaged_and_unknown_datasets_are_refused(tmp_path: Path):
    with pytest.raises(DataError, match="no LeRobotDataset"):
        import_lerobot(tmp_path, tmp_path / "back", None)
    export_lerobot(demos(tmp_path / "demos", FLAT), tmp_path / "set", LeRobotOptions(fps=10))
    root = tmp_path / "set"
    wrist = gym.spaces.Dict(wrist=BOX(0, 255, (8, 8, 3), np.uint8))
    with pytest.raises(DataError, match="needs wrist"):
        import_lerobot(root, tmp_path / "back", Spaces(wrist, ACTIONS))
    damage(root, data_path="../../{chunk_index}{file_index}")
    with pytest.raises(DataError, match="outside"):
        import_lerobot(root, tmp_path / "back", None)
    damage(root, data_path="data/{chunk_index}-{file_index}.parquet")
    with pytest.raises(DataError, match="cannot be read"):
        import_lerobot(root, tmp_path / "back", None)
    damage(root, codebase_version="v1.6")
    with pytest.raises(DataError, match=r"v3\.0 and v2\.1"):
        import_lerobot(root, tmp_path / "back", None)
    assert not (tmp_path / "back").exists()


@pytest.mark.parametrize("shape", [(50,), (50, 3), (50, 4, 4, 3)])
def test_statistics_of_parts_are_those_of_the_whole(shape: tuple[int, ...]):
    rng = np.random.default_rng(0)
    array = rng.integers(0, 256, shape).astype(np.uint8) if len(shape) == 4 else rng.normal(3, 2, shape)
    statistics = Statistics()
    for part in np.split(array, [1, 20, 22]):
        statistics.add({"x": part})
    for kind, value in summarize(array).items():
        np.testing.assert_allclose(statistics.as_json()["x"][kind], value, rtol=1e-12)


def test_the_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    source = demos(tmp_path / "demos", FLAT)
    main(["export", "lerobot", str(source), "--out", str(tmp_path / "set"), "--fps", "30", "--task", "reach"])
    main(["import", "lerobot", str(tmp_path / "set"), "--out", str(tmp_path / "back")])
    assert "4 episodes, 2 of them successful, 10 transitions" in " ".join(capsys.readouterr().out.split())
    main(["import", "lerobot", str(tmp_path / "set"), "--out", str(tmp_path / "pendulum"), "--final-reward", "1"])
    with pytest.raises(SystemExit):
        main(["import", "lerobot", str(tmp_path / "set"), "--out", str(tmp_path / "x"), "--env", "Pendulum-v1"])
    assert "actions has the shape (2,), the environment's has (1,)" in capsys.readouterr().err
