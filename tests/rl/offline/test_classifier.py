"""From recorded frames to a reward function: split by episodes, trained, measured, stored and loaded."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from rich.console import Console

from rl.cli import main
from rl.common.encoders import EncoderConfig
from rl.data.labelled_frames import FrameWriter
from rl.errors import CheckpointError, ConfigError, DataError
from rl.networks.reward_classifier import make_classifier
from rl.networks.reward_function import load_reward_classifier, sample_of
from rl.offline.classifier import TrainClassifierOptions, train_classifier
from rl.offline.classifier_options import SETTINGS
from rl.offline.frame_sets import load_split
from rl.utils.checkpoint import Checkpoints
from tests.rl.offline.test_train_bc import StopAfter

SILENT = Console(quiet=True)
SIDE = 32
TINY = EncoderConfig("compact", image_keys=None, use_proprio=False, num_spatial_blocks=2, bottleneck_dim=16)
OPTIONS = TrainClassifierOptions(
    (), (), out=None, epochs=8, batch_size=32, learning_rate=3e-3, crop_padding=2, held_out=0.5,
    checkpoint_every=2, threads=1, encoder=TINY,
)  # fmt: skip


def image(random, is_success):
    """A bright square in the left half is a success, in the right half it is none."""
    picture = random.integers(0, 90, (SIDE, SIDE, 3), dtype=np.uint8)
    left = random.integers(2, 6) + (0 if is_success else SIDE // 2)
    picture[8:14, left : left + 5] = 230
    return picture


@pytest.fixture
def files(tmp_path):
    """Twelve episodes; success comes at the end of all but four."""
    random = np.random.default_rng(0)
    paths = [tmp_path / name for name in ("negatives", "positives")]
    with FrameWriter(paths[0]) as negatives, FrameWriter(paths[1]) as positives:
        for episode in range(12):
            for writer, count in ((negatives, 12), (positives, 8 if episode % 3 else 0)):
                frames = [{"front": image(random, writer is positives)} for _ in range(count)]
                writer.write(f"e{episode}", frames)
    return {"negatives": (paths[0],), "positives": (paths[1],)}


def train(files, out, stop=None, **changes):
    return train_classifier(dataclasses.replace(OPTIONS, out=out, **files, **changes), stop or StopAfter(), SILENT)


def test_no_episode_is_in_two_parts(files):
    split = load_split(**files, cameras=None, held_out=0.5, seed=3)
    parts = [set(part.episodes) for part in (split.train, split.tune, split.test)]
    assert set.union(*parts) == {f"e{n}" for n in range(12)}
    assert sum(map(len, parts)) == 12
    assert sum(map(len, (split.train, split.tune, split.test))) == 12 * 12 + 8 * 8


def test_too_few_episodes_are_refused(files):
    with pytest.raises(DataError, match="record more"):
        load_split(**files, cameras=None, held_out=0.1, seed=0)


def test_r8_too_few_episodes_leave_no_directory(files, tmp_path):
    with pytest.raises(DataError, match="record more"):
        train(files, tmp_path / "run", held_out=0.1)
    assert not (tmp_path / "run").exists()


def test_it_learns_and_its_reward_function_judges_like_it(files, tmp_path):
    out = tmp_path / "run"
    facts = train(files, out)
    assert facts.metrics["accuracy"] > 0.95
    assert {path.name for path in out.glob("*.png")} == {"confusion.png", "worst.png", "curve.png"}
    classifier = load_reward_classifier(out)
    assert classifier.facts == facts
    assert facts.temperature >= 1.0
    assert not facts.may_as_well_guess
    assert {"nll", "nll_before", "calibration_error", "false_positive_rate_high"} <= facts.metrics.keys()
    test = load_split(**files, cameras=None, held_out=0.5, seed=_split_seed()).test
    predictions = [
        classifier.is_success({"state": {"q": 0}, "images": {"front": picture}}) for picture in test.images["front"]
    ]
    assert np.mean(np.array(predictions) == (test.labels > 0)) == pytest.approx(facts.metrics["accuracy"])


def test_u12_the_command_of_a_classifier_that_guesses_says_so_and_its_status_is_2(tmp_path, capsys):
    """Frames of one kind, in nine of ten cases called no success."""
    random = np.random.default_rng(0)
    paths = {name: tmp_path / name for name in ("negatives", "positives")}
    with FrameWriter(paths["negatives"]) as negatives, FrameWriter(paths["positives"]) as positives:
        for episode in range(12):
            for writer, count in ((negatives, 18), (positives, 2)):
                writer.write(f"e{episode}", [{"front": image(random, False)} for _ in range(count)])
    options = ["--epochs", "1", "--threads", "1", "--held-out", "0.5", "--encoder.encoder-type", "compact"]
    files = [part for name, path in paths.items() for part in (f"--{name}", str(path))]
    with pytest.raises(SystemExit) as ended:
        main(["classifier", *files, *options, "--out", str(tmp_path / "run")])
    assert ended.value.code == 2
    told = capsys.readouterr()
    assert "no better than chance" in told.err
    assert load_reward_classifier(tmp_path / "run").facts.metrics["balanced_accuracy_low"] <= 0.5


def test_a_classifier_of_before_there_were_temperatures_is_read_and_judges_as_it_did(files, tmp_path):
    out = tmp_path / "run"
    train(files, out, epochs=1)
    now = load_reward_classifier(out)
    stored = json.loads((out / "classifier.json").read_text())
    kept = ("accuracy", "precision", "recall", "false_positive_rate")
    older = {name: value for name, value in stored.items() if name != "temperature"}
    older["metrics"] = {name: stored["metrics"][name] for name in kept}
    (out / "classifier.json").write_text(json.dumps(older))
    before = load_reward_classifier(out)
    assert not before.facts.may_as_well_guess
    picture = {"front": np.random.default_rng(1).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)}
    torch.testing.assert_close(before(picture), now(picture) * now.facts.temperature)


def test_the_temperature_divides_the_logits(files, tmp_path):
    out = tmp_path / "run"
    train(files, out, epochs=1)
    stored = json.loads((out / "classifier.json").read_text())
    pictures = {"front": np.random.default_rng(1).integers(0, 256, (2, SIDE, SIDE, 3), dtype=np.uint8)}
    logits = []
    for temperature in (1.0, 4.0):
        (out / "classifier.json").write_text(json.dumps(stored | {"temperature": temperature}))
        logits.append(load_reward_classifier(out).logits(pictures))
    assert torch.equal(logits[1], logits[0] / 4.0)


def _split_seed():
    from rl.utils.seeds import Seeds

    return Seeds(OPTIONS.seed).integer("split")


def test_the_reward_function_takes_what_environments_give(files, tmp_path):
    train(files, tmp_path / "run", epochs=1)
    classifier = load_reward_classifier(tmp_path / "run")
    picture = np.random.default_rng(1).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    alone = classifier({"front": picture})
    assert alone.shape == (1,)
    assert torch.equal(classifier({"images": {"front": np.stack([255 - picture, picture])}}), alone)
    assert torch.equal(classifier({"front": picture.repeat(2, 0).repeat(2, 1)}), alone)
    with pytest.raises(DataError, match="no camera 'front'; it has: wrist"):
        classifier({"wrist": picture})


def test_a_run_that_was_stopped_ends_where_an_undisturbed_one_ends(files, tmp_path):
    train(files, tmp_path / "whole", epochs=4)
    assert train(files, tmp_path / "parts", StopAfter(1), epochs=4) is None
    train(files, tmp_path / "parts", epochs=4, resume=True)
    runs = [Checkpoints(tmp_path / name / "checkpoints") for name in ("whole", "parts")]
    states = [run.load(4)[1]["agent"]["network"] for run in runs]
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def test_a_run_that_is_refused_another_encoder_is_still_read_with_its_own(files, tmp_path):
    train(files, tmp_path / "run", epochs=1)
    other = dataclasses.replace(OPTIONS.encoder, bottleneck_dim=8)
    with pytest.raises(CheckpointError, match="leave out the options that change them"):
        train(files, tmp_path / "run", epochs=2, resume=True, encoder=other)
    assert SETTINGS.read(tmp_path / "run").encoder.bottleneck_dim == OPTIONS.encoder.bottleneck_dim


def test_damaged_classifiers_are_refused(files, tmp_path):
    out = tmp_path / "run"
    with pytest.raises(CheckpointError, match="holds no reward classifier"):
        load_reward_classifier(out)
    train(files, out, epochs=1)
    weights = out / "classifier.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(CheckpointError, match="SHA-256"):
        load_reward_classifier(out)
    weights.write_bytes(whole)
    facts = json.loads((out / "classifier.json").read_text())
    (out / "classifier.json").write_text(json.dumps(facts | {"encoder": facts["encoder"] | {"bottleneck_dim": 17}}))
    with pytest.raises(CheckpointError, match="does not fit"):
        load_reward_classifier(out)


def test_images_that_are_too_small_are_refused():
    with pytest.raises(ConfigError, match="too small for the encoder 'small'"):
        make_classifier(0, sample_of(("front",), (8, 8, 3)), EncoderConfig("small", ("front",), use_proprio=False))


def test_a_frozen_encoder_without_weights_is_refused(files, tmp_path):
    with pytest.raises(ConfigError, match="needs its weights"):
        train(files, tmp_path / "run", encoder=EncoderConfig("resnet-pretrained", image_keys=None))
