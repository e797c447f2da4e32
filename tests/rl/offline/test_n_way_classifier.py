"""From frames of several classes to an n-way classifier: trained, measured, stored, loaded, and used as a reward."""

import dataclasses
import math

import numpy as np
import pytest
from rich.console import Console

from envs.wrappers.reward_classifier import NWayRewardClassifier
from rl.cli import main
from rl.common.encoder_config import EncoderConfig
from rl.common.evaluation import wilson_interval
from rl.data.labelled_frames import FrameWriter
from rl.errors import ConfigError, DataError
from rl.networks.reward_function import ClassifierFacts, load_reward_classifier
from rl.nn.flax_params import to_flax_params
from rl.offline.classifier import require_better_than_chance, train_classifier
from rl.offline.confusion_counts import class_rates
from rl.offline.frame_sets import load_class_split
from rl.offline.rows import BalancedBatches
from rl.wrappers.classifier_reward import ClassifierReward
from tests.rl.offline.test_classifier import OPTIONS, SIDE
from tests.rl.offline.test_train_bc import StopAfter
from tests.support.tiny_pixels import FollowLight

NAMES = ("whole", "flipped", "lost")


def image(random: np.random.Generator, label: int) -> np.ndarray:
    """A bright square whose column tells the class."""
    picture = random.integers(0, 90, (SIDE, SIDE, 3), dtype=np.uint8)
    left = 1 + 10 * label + random.integers(0, 4)
    picture[8:14, left : left + 5] = 230
    return picture


@pytest.fixture
def files(tmp_path):
    """Twelve episodes of each class, the last of which is rare."""
    random = np.random.default_rng(0)
    paths = tuple(tmp_path / f"{name}.sqlite" for name in NAMES)
    for label, path in enumerate(paths):
        with FrameWriter(path) as writer:
            for episode in range(12):
                frames = [{"front": image(random, label)} for _ in range((12, 8, 4)[label])]
                writer.write(f"{label}-{episode}", frames)
    return paths


def train(files, out, **changes):
    options = dataclasses.replace(OPTIONS, out=out, classes=files, **changes)
    return train_classifier(options, StopAfter(), Console(quiet=True))


def test_it_learns_and_the_loaded_classifier_tells_the_classes_apart(files, tmp_path):
    out = tmp_path / "run"
    facts = train(files, out, epochs=16)
    assert facts.classes == NAMES
    assert facts.metrics["balanced_accuracy"] > 0.95
    assert {path.name for path in out.glob("*.png")} == {"confusion.png", "worst.png", "curve.png"}
    require_better_than_chance(facts)
    classifier = load_reward_classifier(out)
    assert classifier.facts == facts
    last = to_flax_params(classifier.network)["Dense_1/kernel"]
    assert last.shape == (256, 3), "the layer of HIL-SERL's NWayClassifier"
    random = np.random.default_rng(1)
    for label in range(3):
        observation = {"images": {"front": image(random, label)}}
        assert classifier(observation).shape == (1, 3)
        assert int(classifier(observation).argmax()) == label
        for success in range(3):
            prediction = NWayRewardClassifier(FollowLight(), classifier, success).predict(observation)
            assert prediction.is_success == (label == success)
    with pytest.raises(ConfigError, match="whole, flipped, lost apart"):
        classifier.is_success(observation)
    with pytest.raises(ConfigError, match="train one on frames that show success"):
        ClassifierReward(FollowLight(), classifier)


def test_every_part_has_episodes_of_every_class_and_none_is_in_two(files):
    split = load_class_split(dict(zip(NAMES, ((file,) for file in files), strict=True)), None, 0.5, seed=3)
    parts = (split.train, split.tune, split.test)
    assert sum(len(part.episodes) for part in parts) == len({name for part in parts for name in part.episodes}) == 36
    for part in parts:
        assert set(part.labels) == {0.0, 1.0, 2.0}


def test_a_folder_of_record_success_is_a_class_too(tmp_path):
    for name in ("whole", "lost"):
        (tmp_path / name).mkdir()
    given = (tmp_path / "whole", tmp_path / "flipped.sqlite", tmp_path / "lost")
    found = dataclasses.replace(OPTIONS, out=tmp_path / "run", classes=given).class_files()
    assert found == {
        "whole": (tmp_path / "whole" / "positives.sqlite",),
        "flipped": (tmp_path / "flipped.sqlite",),
        "lost": (tmp_path / "lost" / "positives.sqlite",),
    }


def test_a_batch_has_equally_many_rows_of_each_class():
    labels = np.array([0] * 20 + [1] * 7 + [2] * 5)
    batches = list(BalancedBatches(labels, 8, seed=0, classes=3))
    assert all(np.bincount(labels[batch]).tolist() == [2, 2, 2] for batch in batches)
    assert {row for batch in batches for row in batch} >= set(range(27, 32)), "an epoch shows the rarest class once"
    with pytest.raises(DataError, match="no class 1 frame"):
        BalancedBatches(np.array([0, 2]), 8, seed=0, classes=3)


def test_the_rates_are_those_of_each_class():
    rates = class_rates(np.array([[8, 2, 0], [0, 5, 0], [1, 1, 2]]), NAMES)
    assert rates["accuracy"] == pytest.approx(15 / 19)
    assert rates["balanced_accuracy"] == pytest.approx((0.8 + 1.0 + 0.5) / 3)
    assert rates["recall/lost"] == 0.5
    parts = ((8, 10), (5, 5), (2, 4))
    half_width = math.sqrt(sum((part / whole - wilson_interval(part, whole)[0]) ** 2 for part, whole in parts)) / 3
    assert rates["balanced_accuracy_low"] == pytest.approx(rates["balanced_accuracy"] - half_width)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "give --positives and --negatives, or --classes"),
        (["--classes", "a.sqlite", "b.sqlite"], "three files or more"),
        (["--classes", "a.sqlite", "b.sqlite", "x/a.sqlite"], "of different names"),
        (["--classes", "a", "b", "c", "--positives", "d"], "give one or the other"),
    ],
)
def test_files_that_name_no_classes_are_refused(options, message, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["classifier", *options, "--out", str(tmp_path / "run")])
    assert ended.value.code == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "run").exists()


def test_a_classifier_that_guesses_is_told_from_a_third():
    facts = ClassifierFacts(
        encoder=EncoderConfig(), image_shape=(SIDE, SIDE, 3), threshold=0.0, threshold_rule="none", episodes={},
        frames={}, sha256="", classes=NAMES, metrics={"balanced_accuracy": 0.4, "balanced_accuracy_low": 0.3},
    )  # fmt: skip
    with pytest.raises(DataError, match="guessing has 33%"):
        require_better_than_chance(facts)
