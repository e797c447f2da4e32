"""A classifier learns from maps of its frozen encoder that were computed once as from shifted images."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from rl.common.encoder_config import EncoderConfig
from rl.common.encoding import MAP
from rl.common.shifted_maps import draw_shifts
from rl.errors import ConfigError
from rl.networks.reward_classifier import make_classifier
from rl.networks.reward_function import load_reward_classifier, sample_of
from rl.offline.classifier_learner import ClassifierLearner
from rl.offline.frame_sets import FrameSet
from rl.offline.kept_maps import keep_maps
from rl.vision.data_augmentations import random_crop
from tests.rl.offline.test_classifier import OPTIONS, SIDE, files, image, train
from tests.rl.offline.test_train_bc import StopAfter
from tests.rl.vision.test_efficientnet_lite import WITH_WEIGHTS

__all__ = ["files"]  # a fixture

CAMERAS, SHIFTS, PADDING, SEED = ("front", "wrist"), 3, 2, 7
FROZEN = EncoderConfig(
    "efficientnet-lite0", CAMERAS, use_proprio=False, pooling_method="avg", bottleneck_dim=16, num_spatial_blocks=2
)


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def frame_set(count: int = 6) -> FrameSet:
    random = np.random.default_rng(0)
    images = {key: random.integers(0, 256, (count, SIDE, SIDE, 3), dtype=np.uint8) for key in CAMERAS}
    return FrameSet(images, (np.arange(count) % 2).astype(np.float32), ("one",))


def learner(seed: int = 0) -> ClassifierLearner:
    network = make_classifier(seed, sample_of(CAMERAS, (SIDE, SIDE, 3)), FROZEN, reads_trunk=False)
    return ClassifierLearner(network, 1e-3, PADDING, "float32", torch.device("cpu"))


def test_maps_are_those_of_the_images_and_of_their_crops():
    frames, encoder = frame_set(), learner().network.encoder_def
    kept = keep_maps(encoder, frames, SHIFTS, PADDING, SEED)
    generator = np.random.default_rng(SEED)
    corners = np.stack([draw_shifts(2, SHIFTS, PADDING, generator) for _ in range(len(frames))])
    assert (corners[:, :, 0] == PADDING).all()
    assert kept.labels is frames.labels
    for index, key in enumerate(CAMERAS):
        assert kept.images[key + MAP].dtype == np.float16
        for shift in range(SHIFTS):
            pixels, corner = torch.from_numpy(frames.images[key]), torch.from_numpy(corners[:, index, shift])
            shifted = random_crop(pixels, padding=PADDING, crop_from=corner)[:, None]
            with torch.no_grad():
                expected = encoder.encode_maps(dict.fromkeys(CAMERAS, shifted))[key + MAP]
            found = torch.from_numpy(kept.images[key + MAP][:, shift]).float()
            torch.testing.assert_close(found, expected, rtol=2e-3, atol=2e-3)


def test_a_step_takes_a_shift_for_each_row_and_camera_and_an_evaluation_none():
    one = learner()
    kept = keep_maps(one.network.encoder_def, frame_set(1), 1, 0, SEED).images
    shape = kept["front" + MAP].shape[2:]
    numbered = np.broadcast_to(np.arange(4.0)[:, None, None, None], (200, 4, *shape)).astype(np.float16)
    one.reseed(3)
    taken = one._augmented({key + MAP: torch.from_numpy(numbered) for key in CAMERAS})
    drawn = {name: maps[:, 0, 0, 0] for name, maps in taken.items()}
    for name, maps in taken.items():
        assert maps.dtype == torch.float32
        assert set(drawn[name].tolist()) == {0.0, 1.0, 2.0, 3.0}
        assert (maps == drawn[name][:, None, None, None]).all()
    assert not torch.equal(*drawn.values())
    few = frame_set()
    on_maps = one.logits(keep_maps(one.network.encoder_def, few, SHIFTS, PADDING, SEED), 4)
    torch.testing.assert_close(on_maps, one.logits(few, 4), rtol=1e-2, atol=1e-2)


def test_a_step_on_maps_of_unshifted_images_is_one_on_the_images(monkeypatch: pytest.MonkeyPatch):
    on_maps, on_images, frames = learner(), learner(), frame_set()
    on_images._padding = 0
    kept = keep_maps(on_maps.network.encoder_def, frames, 1, 0, SEED)
    metrics = []
    for made, images in ((on_maps, kept.images), (on_images, frames.images)):
        before = made.network.state_dict()["logit.weight"].clone()
        augmented = made._augmented
        # Maps take a draw for the shift, and images do not; the dropout behind it is to be the same.
        monkeypatch.setattr(made, "_augmented", lambda seen, m=made, a=augmented: (a(seen), m.reseed(5))[0])
        batch = {"images": {name: torch.from_numpy(array) for name, array in images.items()}}
        metrics.append(made.update({**batch, "labels": torch.from_numpy(frames.labels)}))
        assert not torch.equal(before, made.network.state_dict()["logit.weight"])
    torch.testing.assert_close(metrics[0]["loss"], metrics[1]["loss"], rtol=1e-2, atol=1e-3)


@WITH_WEIGHTS
def test_a_training_on_kept_maps_learns_and_goes_on_after_a_stop(files, tmp_path):
    encoder = dataclasses.replace(FROZEN, image_keys=None, pooling_method="spatial_learned_embeddings")
    ways = {"encoder": encoder, "cached_shifts": 2, "epochs": 6}
    facts = train(files, tmp_path / "whole", **ways)
    assert facts.metrics["accuracy"] > 0.9
    random = np.random.default_rng(9)
    classifier = load_reward_classifier(tmp_path / "whole")
    judged = [classifier.is_success({"front": image(random, wanted)}) == wanted for wanted in (True, False) * 10]
    assert np.mean(judged) > 0.8
    assert train(files, tmp_path / "torn", StopAfter(3), **ways) is None
    assert train(files, tmp_path / "torn", resume=True, **ways) == facts


@pytest.mark.parametrize(
    ("settings", "answer"),
    [
        ({"cached_shifts": -1}, "0 or more"),
        ({"cached_shifts": 2}, "those of compact are trained"),
        ({"cached_shifts": 2, "encoder": FROZEN, "crop_padding": 0}, "--crop-padding above 0"),
    ],
)
def test_shifts_that_cannot_be_kept_are_refused(settings, answer):
    with pytest.raises(ConfigError, match=answer):
        dataclasses.replace(OPTIONS, out=None, **settings)
