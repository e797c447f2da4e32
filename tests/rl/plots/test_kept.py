"""U5: what keeps a picture from being made is found before anything runs, or told after every result was printed."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from rl.common.evaluation import Episode
from rl.errors import ConfigError
from rl.plots.kept import drawn_last, require_video, write_video
from rl.wrappers.make_env import open_env

TINY = "tests.support.tiny_env:FollowTarget-v0"


def test_u5_an_environment_that_cannot_be_rendered_is_refused_when_it_is_made():
    with pytest.raises(ConfigError, match=f"{TINY} cannot be rendered .* leave out video"):
        open_env(TINY, render_mode="rgb_array")
    open_env("Pendulum-v1", render_mode="rgb_array").close()


@pytest.mark.parametrize("name", ["film.avi", "film", "taken.mp4", "file/film.mp4"])
def test_u5_a_video_that_cannot_be_written_is_refused_before_anything_runs(tmp_path: Path, name: str):
    (tmp_path / "taken.mp4").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"a video ends in|cannot be written"):
        require_video(tmp_path / name)


def test_the_folder_of_a_video_is_made(tmp_path: Path):
    film = tmp_path / "new" / "film.gif"
    require_video(film)
    write_video(Episode(frames=[np.zeros((8, 8, 3), np.uint8), np.full((8, 8, 3), 255, np.uint8)]), film)
    assert film.read_bytes().startswith(b"GIF")


def refuse() -> None:
    raise OSError("the disk is full")


def test_u5_a_picture_that_fails_keeps_no_other_from_being_made_and_is_told_in_the_end():
    out, made = io.StringIO(), []
    console = Console(file=out, width=200)
    with pytest.raises(OSError, match=r"the picture a\.png could not be made: the disk is full.* The results above"):
        _draw_two(console, made)
    assert made == ["b.mp4"]
    assert out.getvalue().split() == ["video", "b.mp4"]


def _draw_two(console: Console, made: list[str]) -> None:
    with drawn_last(console) as draw:
        draw("picture", Path("a.png"), refuse)
        draw("video", Path("b.mp4"), lambda: made.append("b.mp4"))


def test_an_episode_without_frames_is_no_video(tmp_path: Path):
    with pytest.raises(ValueError, match="no frames"):
        write_video(Episode(), tmp_path / "film.gif")
