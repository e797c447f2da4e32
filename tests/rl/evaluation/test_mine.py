"""Mining a run: doubtful payments wait, a person's word labels them, and a classifier is trained again on them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from rl.cli import main
from rl.config import ReplayConfig, TrainConfig, load_config, save_config
from rl.data.journal import TransitionJournal
from rl.data.labelled_frames import read_frames
from rl.errors import ConfigError, DataError
from rl.evaluation.mine import PICTURE, WAITING, mine, retrain_options
from rl.evaluation.mine_options import MineOptions, RetrainOptions
from rl.networks.reward_function import load_reward_classifier
from rl.offline.classifier_options import SETTINGS
from rl.utils.run_directory import CONFIG, JOURNAL, NEGATIVES, POSITIVES
from rl.wrappers.adapter_config import ClassifierRewardConfig
from tests.rl.offline.test_classifier import OPTIONS, SIDE, files, train
from tests.rl.wrappers.test_classifier_reward import store_untrained

__all__ = ["files"]
QUIET = Console(quiet=True)
LENGTHS = (12, 3, 12, 4, 20)
"""Steps of the episodes of the run, all of them paid at their end; the demonstration has 10."""
ENDS = tuple(int(end) for end in np.cumsum(LENGTHS))


def write_episodes(path: Path, lengths, actor="actor/1"):
    with TransitionJournal(path) as journal:
        first = 0
        for length in lengths:
            last = np.arange(length) == length - 1
            images = (
                np.zeros((length, 1, SIDE, SIDE, 3), np.uint8)
                + np.arange(first, first + length, dtype=np.uint8)[:, None, None, None, None]
            )
            rows = {
                "next_observations": {"front": images},
                "rewards": last.astype(np.float32),
                "dones": last.astype(np.float32),
                "is_intervention": np.zeros(length, np.float32),
            }
            journal.append(actor, first, rows, {"return": 1.0, "success": True})
            first += length


@pytest.fixture
def run(tmp_path: Path) -> Path:
    write_episodes(tmp_path / "demos.sqlite", [10, 14])
    directory = tmp_path / "run"
    directory.mkdir()
    classifier = store_untrained(tmp_path / "classifier", 0.0)
    replay = ReplayConfig(demos=(tmp_path / "demos.sqlite",))
    save_config(TrainConfig(out=directory, reward_classifier=classifier, replay=replay), directory / CONFIG)
    write_episodes(directory / JOURNAL, LENGTHS)
    return directory


def shown(file: Path) -> list[list[int]]:
    """The numbers that the frames of each episode in a file show."""
    return [[int(image.max()) for image in one.images["front"]] for one in read_frames([file])]


def test_short_payments_wait_and_only_a_person_labels_them(run: Path, tmp_path: Path):
    out = tmp_path / "mined"
    found = mine(MineOptions(run, out), QUIET)
    assert (found.payments, found.waiting) == (5, (ENDS[1], ENDS[3])), "fewer than half of ten steps"
    assert shown(out / WAITING) == [[ENDS[1] - 2, ENDS[1] - 1], [ENDS[3] - 2, ENDS[3] - 1]], "two frames in a row"
    assert (out / PICTURE).is_file()
    assert shown(out / NEGATIVES) == shown(out / POSITIVES) == []

    found = mine(MineOptions(run, out, denied=(ENDS[1], ENDS[4]), confirmed=(ENDS[3],)), QUIET)
    assert (found.waiting, found.denied, found.confirmed) == ((), (ENDS[1], ENDS[4]), (ENDS[3],))
    assert shown(out / NEGATIVES) == [[ENDS[1] - 2, ENDS[1] - 1], [ENDS[4] - 2, ENDS[4] - 1]]
    assert shown(out / POSITIVES) == [[ENDS[3] - 2, ENDS[3] - 1]]
    assert mine(MineOptions(run, out, denied=(ENDS[1],)), QUIET) == found, "the same word again changes nothing"
    assert len(shown(out / NEGATIVES)) == 2


def test_the_rest_is_denied_at_once_and_never_what_was_confirmed(run: Path, tmp_path: Path):
    found = mine(MineOptions(run, tmp_path / "mined", confirmed=(ENDS[1],), deny_rest=True), QUIET)
    assert (found.waiting, found.denied, found.confirmed) == ((), (ENDS[3],), (ENDS[1],))


def test_what_the_run_has_forgotten_still_waits(run: Path, tmp_path: Path):
    out = tmp_path / "mined"
    waiting = mine(MineOptions(run, out), QUIET).waiting
    with TransitionJournal(run / JOURNAL) as journal:
        journal.forget(ENDS[4] - 1, [])
    assert mine(MineOptions(run, out), QUIET).waiting == waiting
    assert mine(MineOptions(run, out, deny_rest=True), QUIET).denied == waiting


def test_the_share_the_demonstrations_and_the_number_of_frames_are_those_that_are_asked_for(run: Path, tmp_path: Path):
    def waiting(number, **changes):
        return mine(MineOptions(run, tmp_path / str(number), **changes), QUIET).waiting

    assert waiting(1, short_share=0.0) == ()
    assert waiting(2, short_share=1.3) == (ENDS[0], ENDS[1], ENDS[2], ENDS[3]), "fewer than 13"
    write_episodes(tmp_path / "quick.sqlite", [8])
    assert waiting(3, demos=(tmp_path / "quick.sqlite",)) == (ENDS[1],)
    waiting(4, frames=3)
    assert shown(tmp_path / "4" / WAITING)[0] == [ENDS[1] - 3, ENDS[1] - 2, ENDS[1] - 1]


def test_the_frames_are_as_many_as_the_run_had_to_see(run: Path, tmp_path: Path):
    path = run / CONFIG
    save_config(replace(load_config(path), classifier=ClassifierRewardConfig(1)), path)
    mine(MineOptions(run, tmp_path / "mined"), QUIET)
    assert shown(tmp_path / "mined" / WAITING) == [[ENDS[1] - 1], [ENDS[3] - 1]]


def test_what_cannot_be_is_said(run: Path, tmp_path: Path):
    out = tmp_path / "mined"
    with pytest.raises(ConfigError, match="no payment at step 7, 8"):
        mine(MineOptions(run, out, denied=(ENDS[0], 7), confirmed=(8,)), QUIET)
    assert shown(out / NEGATIVES) == [], "all or nothing"
    mine(MineOptions(run, out, denied=(ENDS[1],)), QUIET)
    with pytest.raises(DataError, match=f"step {ENDS[1]} have the other label"):
        mine(MineOptions(run, out, confirmed=(ENDS[1],)), QUIET)
    with pytest.raises(ConfigError, match="both name 3"):
        MineOptions(run, out, denied=(3,), confirmed=(3,))
    with pytest.raises(ConfigError, match="is no run"):
        mine(MineOptions(tmp_path, out), QUIET)
    save_config(TrainConfig(out=run), run / CONFIG)
    with pytest.raises(ConfigError, match="not paid by a reward classifier"):
        mine(MineOptions(run, out), QUIET)


def test_a_classifier_is_trained_again_on_its_frames_and_on_what_was_labelled(files, run: Path, tmp_path: Path):
    first, again, mined = (tmp_path / name for name in ("first", "again", "mined"))
    train(files, first, epochs=1)
    options = RetrainOptions(first, again, (mined,), epochs=2)
    mine(MineOptions(run, mined), QUIET)
    with pytest.raises(DataError, match="nothing is labelled yet"):
        retrain_options(options)
    mine(MineOptions(run, mined, deny_rest=True), QUIET)
    asked = retrain_options(options)
    more = files | {"negatives": (*files["negatives"], mined / NEGATIVES)}
    assert asked == replace(OPTIONS, **more, out=again, epochs=2), "no positives were mined"
    with suppress(SystemExit):  # two epochs may teach nothing, and are written nevertheless
        main(["classifier", "retrain", str(first), "--mined", str(mined), "--out", str(again), "--epochs", "2"])
    assert SETTINGS.read(again) == asked
    before, after = (load_reward_classifier(folder).facts for folder in (first, again))
    assert sum(after.frames.values()) == sum(before.frames.values()) + 4
    third = retrain_options(RetrainOptions(again, tmp_path / "third", (mined,)))
    assert third.negatives == asked.negatives, "a file counts once"
    with pytest.raises(ConfigError, match="--mined is empty"):
        RetrainOptions(first, again)
