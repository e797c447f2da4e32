"""Laws of the wrappers, on an environment whose every step is known."""

from __future__ import annotations

import imageio.v2 as imageio
import imageio_ffmpeg
import numpy as np
import pytest
from gymnasium import spaces

from envs.wrappers import ActionRepeat, ChunkingWrapper, EpisodeStatistics, SERLObsWrapper, VideoRecorder, space_stack
from robotkit import InvalidConfiguration
from tests.envs.cells import FAKE, IDS, made
from tests.envs.scripted_env import ScriptedEnv


def chunk(count):
    return np.arange(count * 2, dtype=np.float32).reshape(count, 2) / 100


def test_a_chunk_of_one_changes_only_the_shape():
    plain, chunked = ScriptedEnv(), ChunkingWrapper(ScriptedEnv(), obs_horizon=1)
    assert np.array_equal(chunked.reset()[0]["step"], [plain.reset()[0]["step"]])
    for _ in range(5):
        (observation, *rest), (stacked, *same) = plain.step(np.zeros(2)), chunked.step(np.zeros(2))
        assert np.array_equal(stacked["step"], [observation["step"]])
        assert rest == same


def test_rewards_add_up_and_nothing_is_stepped_beyond_the_end():
    env = ChunkingWrapper(ScriptedEnv(length=5), obs_horizon=2, act_exec_horizon=3)
    env.reset()
    first, last = env.step(chunk(4)), env.step(chunk(3))
    assert first[1] == pytest.approx(0.111)
    assert first[2:4] == (False, False)
    assert last[1] == pytest.approx(0.00011)
    assert last[2:4] == (True, False)
    assert np.array_equal(env.unwrapped.taken, [*chunk(3), *chunk(2)])


def test_m23_nothing_is_stepped_beyond_a_truncation():
    for wrap in (lambda env: ActionRepeat(env, 3), lambda env: ChunkingWrapper(env, obs_horizon=1, act_exec_horizon=3)):
        env = wrap(ScriptedEnv(length=4, terminates=False))
        env.reset()
        action = chunk(3) if isinstance(env, ChunkingWrapper) else np.zeros(2)
        assert env.step(action)[2:4] == (False, False)
        assert env.step(action)[2:4] == (False, True)
        assert len(env.unwrapped.taken) == 4


def test_history_is_oldest_first_and_begins_with_the_first_observation():
    env = ChunkingWrapper(ScriptedEnv(), obs_horizon=3, act_exec_horizon=2)
    seen = [env.reset()[0], *(env.step(chunk(2))[0] for _ in range(3)), env.reset()[0]]
    assert [observation["step"].ravel().tolist() for observation in seen] == [
        [0, 0, 0], [0, 1, 2], [2, 3, 4], [3, 4, 5], [0, 0, 0],
    ]  # fmt: skip
    assert all(observation in env.observation_space for observation in seen)


def test_stacked_spaces_contain_stacks():
    env = ChunkingWrapper(ScriptedEnv(), obs_horizon=2, act_exec_horizon=3)
    assert env.action_space.shape == (3, 2)
    assert space_stack(spaces.Discrete(3, start=1), 2).contains(np.array((1, 3)))
    with pytest.raises(InvalidConfiguration, match="Text"):
        space_stack(spaces.Text(3), 2)


@pytest.mark.parametrize("kwargs", [{"obs_horizon": 0}, {"obs_horizon": 1, "act_exec_horizon": 0}], ids=str)
def test_horizons_below_one_are_refused(kwargs):
    with pytest.raises(InvalidConfiguration, match="at least 1"):
        ChunkingWrapper(ScriptedEnv(), **kwargs)


def test_a_chunk_that_is_too_short_is_refused():
    env = ChunkingWrapper(ScriptedEnv(), obs_horizon=1, act_exec_horizon=3)
    env.reset()
    with pytest.raises(InvalidConfiguration, match="only 2"):
        env.step(chunk(2))


def test_repeating_an_action_is_a_chunk_of_equal_actions():
    repeated, chunked = ActionRepeat(ScriptedEnv(), 3), ChunkingWrapper(ScriptedEnv(), 1, 3)
    repeated.reset()
    chunked.reset()
    for _ in range(2):
        one, many = repeated.step(chunk(1)[0]), chunked.step(np.repeat(chunk(1), 3, axis=0))
        assert one[1:] == many[1:]
    with pytest.raises(InvalidConfiguration):
        ActionRepeat(ScriptedEnv(), 0)


@pytest.mark.parametrize("terminates", [True, False])
def test_statistics_come_with_the_last_step(terminates):
    env = EpisodeStatistics(ScriptedEnv(length=5, success_from=4, terminates=terminates))
    for _ in range(2):
        env.reset()
        infos = [env.step(np.zeros(2))[4] for _ in range(5)]
        assert all("episode" not in info for info in infos[:-1])
        episode = infos[-1]["episode"]
        assert episode["r"] == pytest.approx(0.11111)
        assert (episode["l"], episode["success"], episode["success_step"]) == (5, True, 4)
    assert list(env.success_queue) == [True, True]


def test_success_that_was_lost_again_is_no_success_but_has_its_step():
    class Fickle(ScriptedEnv):
        def step(self, action):
            *rest, _ = super().step(action)
            return *rest, {"success": len(self.taken) == 2}

    env = EpisodeStatistics(Fickle())
    env.reset()
    episode = [env.step(np.zeros(2))[4] for _ in range(5)][-1]["episode"]
    assert (episode["success"], episode["success_step"]) == (False, 2)


@pytest.mark.parametrize("id", IDS)
def test_serl_layout_keeps_every_number(id):
    with made(id, **FAKE) as env:
        plain, _ = env.reset(seed=0)
        wrapped = SERLObsWrapper(env)
        observation, _ = wrapped.reset(seed=0)
    state = plain["state"]
    assert observation in wrapped.observation_space
    assert np.array_equal(observation["state"], np.concatenate([state[key] for key in sorted(state)]))
    for name, image in plain.get("images", {}).items():
        assert np.array_equal(observation[name][..., :2], image[..., :2])


def test_serl_layout_of_chosen_keys():
    with made(**FAKE) as env:
        wrapped = SERLObsWrapper(env, proprio_keys=("panda/tcp_pos", "block_pos"))
        observation, _ = wrapped.reset(seed=0, options={"block_xy": (0.3, 0.1)})
        with pytest.raises(InvalidConfiguration, match="panda/tcp_vel"):
            SERLObsWrapper(env, proprio_keys=("tcp_pos",))
    assert np.allclose(observation["state"][:3], (0.3, 0.1, 0.02))
    assert observation["state"].shape == wrapped.observation_space["state"].shape == (6,)


@pytest.mark.parametrize("file_type", ["mp4", "gif"])
def test_videos_hold_a_frame_a_step(tmp_path, file_type):
    # A gif merges frames that are equal, so every step needs a frame of its own.
    overrides = {**FAKE["cell_overrides"], "cameras.front.rate_hz": 50.0}
    with made(cell="fake", cell_overrides=overrides, render_mode="rgb_array", max_episode_steps=5) as env:
        recorder = VideoRecorder(env, tmp_path / "videos", file_type=file_type, should_record=lambda n: n == 1)
        videos = []
        for _ in range(3):
            recorder.reset(seed=0)
            videos.append([recorder.step(np.zeros(4, np.float32))[4].get("video") for _ in range(5)])
        recorder.close()
    path = tmp_path / "videos" / f"episode_00001.{file_type}"
    assert videos == [[None] * 5, [None] * 4 + [str(path)], [None] * 5]
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    # imageio's own mp4 reader leaves its pipes open, which pytest reports.
    frames = imageio_ffmpeg.count_frames_and_secs(path)[0] if file_type == "mp4" else len(imageio.mimread(path))
    assert frames == 6


class Full:
    """A writer whose disk is full after so many frames."""

    room = 2

    def __init__(self, path, **options):
        self.frames = 0

    def append_data(self, frame):
        self.frames += 1
        if self.frames > self.room:
            raise BrokenPipeError("the encoder has ended")

    def close(self):
        raise OSError("no space left")


@pytest.mark.parametrize("trouble", ["in the middle", "at the start", "at the end", "no folder"])
def test_r6_a_video_that_cannot_be_written_costs_no_episode(tmp_path, monkeypatch, caplog, trouble):
    folder = tmp_path / "videos"
    if trouble == "no folder":
        folder.write_text("")
    monkeypatch.setattr("envs.wrappers.video_recorder.imageio.get_writer", Full)
    monkeypatch.setattr(Full, "room", {"at the start": 0, "at the end": 6}.get(trouble, 2))
    with made(**FAKE, render_mode="rgb_array", max_episode_steps=5) as env:
        recorder = VideoRecorder(env, folder)
        for _ in range(2):
            recorder.reset(seed=0)
            steps = [recorder.step(np.zeros(4, np.float32)) for _ in range(5)]
            assert [step[3] for step in steps] == [False] * 4 + [True]
            assert "video" not in steps[-1][4]
        recorder.close()
    assert [record.message.split(":")[0].endswith("is given up") for record in caplog.records] == [True] * 2


def test_recording_needs_something_to_see(tmp_path):
    with made(**FAKE) as env, pytest.raises(InvalidConfiguration, match="rgb_array"):
        VideoRecorder(env, tmp_path)
