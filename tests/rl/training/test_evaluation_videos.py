"""Videos of evaluations: the right frames, the newest files, and no evaluation lost to one."""

from __future__ import annotations

import logging
import re
import subprocess
import threading
from pathlib import Path
from typing import Any

import gymnasium as gym
import imageio_ffmpeg
import numpy as np
import pytest

from rl.config import EvaluationConfig, TrainConfig
from rl.errors import ConfigError, EnvironmentInterrupted
from rl.plots import video_file
from rl.training.actor import EvaluationPlan, run_evaluator
from rl.training.evaluation_videos import EvaluationVideos, film_mode, require_filmable
from rl.training.recovery import Recovery
from rl.wrappers.make_env import EnvAdapterConfig, make_env
from tests.support.filmed_env import HEIGHT, WIDTH
from tests.support.tiny_env import EPISODE_STEPS
from tests.support.tiny_pixels import SIDE

ENV = "tests.support.filmed_env:ShownTarget-v0"
PIXELS = "tests.support.tiny_pixels:FollowLight-v0"


class Policy:
    def sample_actions(self, observations: Any, *, argmax: bool = False) -> np.ndarray:
        return np.zeros(1, np.float32)

    def load_policy_state_dict(self, state: Any) -> None: ...


class Link:
    """A learner that has taken 100 steps more at each look, and ends after `evaluations` reports."""

    def __init__(self, evaluations: int) -> None:
        self.evaluations, self.reports, self.env_steps = evaluations, [], 0

    @property
    def is_finished(self) -> bool:
        return len(self.reports) >= self.evaluations - 1

    def wait_for_weights(self, timeout_s: float) -> Any:
        return type("Weights", (), {"policy": {}})

    def take_weights(self) -> Any:
        return None

    def report(self, topic: str, values: Any) -> None:
        self.reports.append(values)
        self.env_steps += 100

    def set_waiting_for(self, reason: str | None) -> None: ...


class NoPause(threading.Event):
    def wait(self, timeout: float | None = None) -> bool:
        return self.is_set()


def evaluated(env: gym.Env, videos: EvaluationVideos | None, evaluations: int = 1, episodes: int = 3) -> list[Any]:
    link = Link(evaluations)
    run_evaluator(env, Policy(), link, EvaluationPlan(100, episodes, 7, videos), NoPause())
    assert len(link.reports) == evaluations
    return [{name: value for name, value in report.items() if name != "env_steps"} for report in link.reports]


def frames_of(path: Path) -> tuple[np.ndarray, float]:
    """All frames of a video, (frames, height, width, 3), and how many are shown in a second."""
    # imageio's own reader leaves its pipes open where the decoder takes its time, which pytest reports.
    decoder = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(path), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    decoded = subprocess.run(decoder, stdin=subprocess.DEVNULL, capture_output=True, check=True)
    found = re.search(rb"Video: .* (\d+)x(\d+).*?([\d.]+) fps", decoded.stderr)
    assert found is not None
    width, height = int(found[1]), int(found[2])
    return np.frombuffer(decoded.stdout, np.uint8).reshape(-1, height, width, 3), float(found[3])


@pytest.fixture
def env() -> gym.Env:
    return make_env(ENV, render_mode="rgb_array")


def test_a_video_shows_each_moment_of_the_first_episodes_and_changes_no_evaluation(env: gym.Env, tmp_path: Path):
    filmed = evaluated(env, EvaluationVideos(tmp_path, 2, keep=10, rate_hz=20.0))
    assert filmed == evaluated(env, None)
    frames, fps = frames_of(tmp_path / "step_00000000.mp4")
    assert fps == 20.0
    assert frames.shape == (2 * (EPISODE_STEPS + 1), HEIGHT, WIDTH, 3)
    moments = [*range(EPISODE_STEPS + 1)] * 2
    np.testing.assert_allclose(frames.mean(axis=(1, 2, 3)), [20.0 * moment for moment in moments], atol=8)
    assert [path.name for path in tmp_path.iterdir()] == ["step_00000000.mp4"]


def test_an_agent_that_sees_is_filmed_by_its_cameras_side_by_side(tmp_path: Path):
    env = make_env(PIXELS, adaptation=EnvAdapterConfig(sees_images=True, frame_stack=2))
    evaluated(env, EvaluationVideos(tmp_path, 1, keep=10))
    frames, _ = frames_of(tmp_path / "step_00000000.mp4")
    scale = 256 // SIDE
    assert frames.shape == (EPISODE_STEPS + 1, SIDE * scale, 2 * SIDE * scale, 3)
    observation, _ = env.reset(seed=7)
    shown = np.concatenate([observation["front"][-1], observation["wrist"][-1]], axis=1).astype(float)
    small = frames[0].reshape(SIDE, scale, 2 * SIDE, scale, 3).mean(axis=(1, 3))
    assert np.abs(small - shown).mean() < 6


def test_the_newest_videos_stay(env: gym.Env, tmp_path: Path):
    evaluated(env, EvaluationVideos(tmp_path, 1, keep=2), evaluations=4, episodes=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step_00000200.mp4", "step_00000300.mp4"]


class Refused:
    """A writer that a full disk refuses at the third frame."""

    def __init__(self, path: Path) -> None:
        path.write_bytes(b"half a video")
        self._left = 2

    def __enter__(self) -> Refused:
        return self

    def __exit__(self, *exc: object) -> None: ...

    def append_data(self, frame: np.ndarray) -> None:
        self._left -= 1
        if self._left < 0:
            raise OSError("no space left on device")


def test_a_writer_that_fails_ends_no_evaluation_and_is_told_once(
    env: gym.Env, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    caplog.set_level(logging.WARNING)
    with monkeypatch.context() as broken:
        broken.setattr("imageio.v2.get_writer", lambda path, **options: Refused(path))
        videos = EvaluationVideos(tmp_path, 1, keep=10)
        assert evaluated(env, videos, evaluations=3) == [evaluated(env, None)[0]] * 3
    assert caplog.text.count("no space left on device") == 1
    assert not list(tmp_path.iterdir()), "half a video is none"
    evaluated(env, videos)
    assert len(list(tmp_path.iterdir())) == 1, "the disk has room again"


def test_a_folder_that_cannot_be_made_ends_no_evaluation(
    env: gym.Env, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    (tmp_path / "file").write_text("")
    evaluated(env, EvaluationVideos(tmp_path / "file" / "videos", 1, keep=10))
    assert "could not be made" in caplog.text


def test_a_renderer_that_fails_ends_no_evaluation(env: gym.Env, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    class Dark(gym.Wrapper):
        shots = 0

        def render(self) -> Any:
            self.shots += 1
            raise RuntimeError("no display")

    dark = Dark(env)
    evaluated(dark, EvaluationVideos(tmp_path, 1, keep=10))
    assert dark.shots == 1
    assert caplog.text.count("no display") == 1
    assert not list(tmp_path.iterdir())


def test_an_encoder_that_hangs_ends_no_evaluation(
    env: gym.Env, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    released = threading.Event()
    monkeypatch.setattr(video_file, "_ENCODER_TIMEOUT_S", 0.05)
    monkeypatch.setattr("imageio.v2.get_writer", lambda path, **options: released.wait(60.0))
    try:
        evaluated(env, EvaluationVideos(tmp_path, 1, keep=10))
    finally:
        released.set()
    assert "the encoder is not done after 0.05 s" in caplog.text


def test_an_evaluation_that_is_repeated_is_filmed_from_its_start(
    env: gym.Env, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    class StoppedOnce(gym.Wrapper):
        steps = 0

        def step(self, action: np.ndarray) -> Any:
            self.steps += 1
            if self.steps == 5:
                raise EnvironmentInterrupted("a person pressed stop")
            return self.env.step(action)

    monkeypatch.setattr(Recovery.__init__, "__defaults__", (0.0, 60.0))
    link, plan = Link(2), EvaluationPlan(100, 1, 7, EvaluationVideos(tmp_path, 1, keep=10))
    run_evaluator(StoppedOnce(env), Policy(), link, plan, NoPause())
    assert [len(frames_of(path)[0]) for path in sorted(tmp_path.iterdir())] == [EPISODE_STEPS + 1] * 2


def test_what_cannot_be_filmed_is_refused_before_anything_runs(env: gym.Env, tmp_path: Path):
    filmed = TrainConfig(env=ENV, evaluation=EvaluationConfig(video_episodes=1), out=tmp_path)
    require_filmable(filmed, env)
    blind = make_env("tests.support.tiny_env:FollowTarget-v0")
    with pytest.raises(ConfigError, match="its render_modes lack rgb_array"):
        require_filmable(filmed, blind)
    require_filmable(TrainConfig(env=ENV), blind)
    with pytest.raises(ConfigError, match="films evaluations, and this run has none: give every_steps above 0"):
        require_filmable(TrainConfig(env=ENV, evaluation=EvaluationConfig(every_steps=0, video_episodes=1)), env)
    assert (film_mode(filmed), film_mode(TrainConfig())) == ("rgb_array", None)
    assert EvaluationVideos.of(TrainConfig(), env) is None
    with pytest.raises(ConfigError, match="this run has no directory"):
        EvaluationVideos.of(TrainConfig(evaluation=EvaluationConfig(video_episodes=1)), env)
