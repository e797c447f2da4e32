"""Recorded frames carry the label of their own step, whoever gives it."""

import os
import pty

import numpy as np
import pytest
from rich.console import Console

from rl.data.journal import TransitionJournal
from rl.data.labelled_frames import FrameWriter, read_frames, spread_frames
from rl.errors import ConfigError, DataError, JournalError, SchemaMismatch
from rl.recording.held_key import HeldKey
from rl.recording.record_success import NEGATIVES, PICTURE, POSITIVES, RecordSuccessOptions, record_success
from tests.rl.offline.test_train_bc import StopAfter
from tests.support.lamp_env import EPISODE_STEPS, SIDE

SILENT = Console(quiet=True)
ENV = "tests.support.lamp_env:Lamp-v0"
BLINKER = "tests.support.lamp_env:Blinker"


def record(out, **changes):
    settings = {"env": ENV, "expert": BLINKER, "positives": 10**6, "episodes": 6, **changes}
    return record_success(RecordSuccessOptions(out=out, **settings), StopAfter(), SILENT)


def test_every_step_is_stored_in_the_file_of_its_label(tmp_path):
    recorded = record(tmp_path)
    positives, negatives = read_frames([tmp_path / POSITIVES]), read_frames([tmp_path / NEGATIVES])
    assert (recorded.positives, recorded.negatives) == (4 * 3, 6 * EPISODE_STEPS - 4 * 3)
    assert sum(map(len, positives)) == recorded.positives
    assert sum(map(len, negatives)) == recorded.negatives
    assert all(frames.images["front"].min() >= 130 for frames in positives)
    assert all(frames.images["wrist"].max() < 130 for frames in negatives)
    assert {frames.episode for frames in positives} < {frames.episode for frames in negatives}


def test_it_ends_with_enough_positives_and_goes_on_later(tmp_path):
    assert record(tmp_path, positives=4).episodes == 2
    assert record(tmp_path, positives=1).episodes == 1
    names = [frames.episode for frames in read_frames([tmp_path / NEGATIVES])]
    assert len(set(names)) == 3


def frames_of(directory):
    """Every frame of a directory by class, episode and camera."""
    return {
        (name, one.episode, camera): images
        for name in (POSITIVES, NEGATIVES)
        for one in read_frames([directory / name])
        for camera, images in one.images.items()
    }


@pytest.mark.parametrize("torn", [False, True])
def test_a_recording_that_was_broken_off_goes_on_as_if_it_had_not_been(tmp_path, torn):
    settings = {"expert": "tests.support.lamp_env:Chancer", "noise": 0.2, "episodes": None, "positives": 12}
    whole = record(tmp_path / "whole", **settings)
    assert whole.episodes > 4
    record(tmp_path / "parts", **{**settings, "episodes": 3})
    if torn:  # killed between the two files of an episode
        lost = frames_of(tmp_path / "parts")
        (tmp_path / "parts" / NEGATIVES).unlink()
        with FrameWriter(tmp_path / "parts" / NEGATIVES) as writer:
            for episode in ("0", "1"):
                images = [lost[NEGATIVES, episode, camera] for camera in ("front", "wrist")]
                writer.write(episode, [{"front": front, "wrist": wrist} for front, wrist in zip(*images, strict=True)])
    assert record(tmp_path / "parts", **settings, resume=True) == whole
    expected, found = frames_of(tmp_path / "whole"), frames_of(tmp_path / "parts")
    assert expected.keys() == found.keys()
    assert all(np.array_equal(found[key], images) for key, images in expected.items())


def test_another_recording_brings_other_episodes(tmp_path):
    record(tmp_path, episodes=2)
    record(tmp_path, episodes=2)
    starts = [frames.images["front"][0].tobytes() for frames in read_frames([tmp_path / NEGATIVES])]
    assert len(set(starts)) == 4


def test_shown_frames_are_spread_over_the_file(tmp_path):
    record(tmp_path, episodes=5)
    every = [(one.episode, image) for one in read_frames([tmp_path / NEGATIVES]) for image in one.images["wrist"]]
    total, shown = spread_frames(tmp_path / NEGATIVES, 5)
    assert total == len(every)
    for position, (episode, frame) in zip(np.linspace(0, total - 1, 5).round().astype(int), shown, strict=True):
        assert episode == every[position][0]
        np.testing.assert_array_equal(frame["wrist"], every[position][1])
    assert len(spread_frames(tmp_path / NEGATIVES, 1000)[1]) == total
    assert (tmp_path / PICTURE).read_bytes().startswith(b"\x89PNG")


def test_images_are_chosen_and_scaled(tmp_path):
    record(tmp_path, episodes=1, image_keys=("wrist",), image_size=SIDE // 2)
    (frames,) = read_frames([tmp_path / POSITIVES])
    assert {name: images.shape for name, images in frames.images.items()} == {"wrist": (3, 8, 8, 3)}
    with pytest.raises(SchemaMismatch, match="holds other fields"):
        record(tmp_path, episodes=1)
    with pytest.raises(DataError, match="no camera front"):
        read_frames([tmp_path / POSITIVES], ["front"])


def test_what_cannot_be_recorded_is_refused(tmp_path):
    with pytest.raises(DataError, match="--label key"):
        record(tmp_path / "a", env="tests.support.lamp_env:MuteLamp-v0")
    with pytest.raises(ConfigError, match="cannot be loaded"):
        record(tmp_path / "b", expert="tests.support.lamp_env:Nobody")
    with pytest.raises(ConfigError, match="has the form module:factory"):
        record(tmp_path / "b", expert="nobody")
    with TransitionJournal(tmp_path / "c.sqlite") as journal:
        journal.append("a", 0, {"x": np.zeros(1)})
    with pytest.raises(JournalError, match="content"):
        FrameWriter(tmp_path / "c.sqlite")


def test_a_held_key_marks_every_step_and_a_released_one_none(tmp_path):
    """H8: the original marked one step for each press, although it asked to hold."""
    keyboard, terminal = pty.openpty()
    now_s = [0.0]
    marked = []
    try:
        with HeldKey(" ", os.ttyname(terminal), now_s=lambda: now_s[0]) as key:
            for tenth in range(40):
                now_s[0] = tenth / 10
                # Pressed at 1 s: the keyboard repeats after half a second, 30 times a second, until 2.5 s.
                if tenth == 10:
                    os.write(keyboard, b" ")
                elif 15 <= tenth < 25:
                    os.write(keyboard, b"   ")
                os.write(keyboard, b"x")
                marked.append(key.is_down())
    finally:
        os.close(keyboard)
        os.close(terminal)
    assert marked == [10 <= tenth <= 25 for tenth in range(40)]


def test_without_a_terminal_a_key_says_so(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="no terminal"):
        HeldKey(" ", str(tmp_path / "file"))
