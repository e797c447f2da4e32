"""A training that films its evaluations leaves videos in its directory, whoever evaluates."""

from __future__ import annotations

import signal
from pathlib import Path

import imageio_ffmpeg
import pytest

from rl.utils.run_directory import VIDEOS
from tests.support.tiny_env import EPISODE_STEPS
from tests.support.waiting import wait_until

from .runs import SMALL, end, start


@pytest.mark.parametrize("where", ["process", "actor"])
def test_a_training_leaves_videos_in_its_directory(tmp_path: Path, where: str):
    out, log = tmp_path / "run", tmp_path / "train.log"
    evaluation = ("--evaluation.every-steps", 100, "--evaluation.episodes", 2, "--evaluation.where", where)
    filmed = ("--env", "tests.support.filmed_env:ShownTarget-v0", "--evaluation.video-episodes", 1)
    process = start("train", *SMALL, *evaluation, *filmed, "--steps", 10**6, "--out", out, log=log)
    try:
        wait_until(lambda: process.poll() is not None or any((out / VIDEOS).glob("step_*.mp4")), 150.0)
        process.send_signal(signal.SIGTERM)
        assert process.wait(100) == 0, log.read_text()
    finally:
        end(process)
    videos = [*(out / VIDEOS).glob("step_*.mp4")]
    assert videos
    assert {imageio_ffmpeg.count_frames_and_secs(video)[0] for video in videos} == {EPISODE_STEPS + 1}
