"""Success classifiers: trained, saved, loaded, and refused where they do not fit."""

import pytest
import torch
from safetensors.torch import save_file

from rl.common.encoding import EncodingWrapper
from rl.errors import CheckpointError, CheckpointNotFound, SchemaMismatch
from rl.networks import classifier as vice
from rl.networks.mlp import MLP
from rl.networks.reward_classifier import create_classifier, load_classifier_func, save_classifier
from rl.nn.flax_params import to_flax_params
from rl.utils.weights import read_weights
from rl.vision.resnet_v1 import PreTrainedResNetEncoder, resnetv1_configs

CAMERAS = ("front", "wrist")


def observation(batch: int = 2, size: int = 32) -> dict[str, torch.Tensor]:
    return {c: torch.randint(0, 256, (batch, 1, size, size, 3), dtype=torch.uint8) for c in CAMERAS}


def test_the_classifier_learns_to_tell_dark_from_bright():
    torch.manual_seed(0)
    frames, labels = observation(16), torch.arange(16) % 2
    frames = {key: (value // 2 + 120 * labels[:, None, None, None, None]).byte() for key, value in frames.items()}
    classifier, optimizer = create_classifier(0, frames, CAMERAS)
    trunk = {name: value.clone() for name, value in classifier.named_parameters() if not value.requires_grad}
    for group in optimizer.param_groups:
        group["lr"] = 3e-3
    for _ in range(12):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(
            classifier(frames, train=True).squeeze(-1), labels.float()
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert ((classifier(frames).squeeze(-1) > 0) == labels).all()
    assert all(torch.equal(value, trunk[name]) for name, value in classifier.named_parameters() if name in trunk)


def test_equal_keys_give_equal_classifiers():
    obs = observation()
    first, second, other = (create_classifier(key, obs, CAMERAS)[0](obs) for key in (3, 3, 4))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_a_saved_classifier_answers_as_before(tmp_path):
    obs = observation()
    classifier, _ = create_classifier(0, obs, CAMERAS)
    save_classifier(classifier, tmp_path, step=7)
    logits = load_classifier_func(obs, CAMERAS, tmp_path)
    assert torch.equal(logits(obs), classifier(obs))
    single = {key: value[0].numpy() for key, value in obs.items()} | {"state": None}
    assert logits(single).shape == (1,)


def test_a_classifier_of_another_kind_is_refused(tmp_path):
    obs = observation()
    save_classifier(create_classifier(0, obs, CAMERAS)[0], tmp_path, step=0)
    with pytest.raises(CheckpointError, match="no classifier for these cameras"):
        load_classifier_func(obs, ("front",), tmp_path)
    with pytest.raises(CheckpointNotFound):
        load_classifier_func(obs, CAMERAS, tmp_path / "elsewhere")
    state = next(tmp_path.glob("step_*/state.pt"))
    state.write_bytes(state.read_bytes()[:-1] + b"?")
    with pytest.raises(CheckpointNotFound, match="no usable checkpoint"):
        load_classifier_func(obs, CAMERAS, tmp_path)


def test_trunk_weights_are_read_against_their_checksum_only(tmp_path):
    """S26: weights were downloaded and read unverified."""
    obs = observation()
    source, _ = create_classifier(5, obs, CAMERAS)
    trunk = source.encoder_def.encoder["front"].pretrained_encoder
    file = tmp_path / "trunk.safetensors"
    save_file({path: torch.from_numpy(value) for path, value in to_flax_params(trunk).items()}, file)
    with pytest.raises(CheckpointError, match="only read against a checksum") as refusal:
        create_classifier(0, obs, CAMERAS, file)
    sha256 = str(refusal.value).rsplit(" ", 1)[-1]
    classifier, _ = create_classifier(0, obs, CAMERAS, file, sha256)
    image = obs["front"][:, 0]
    assert torch.equal(classifier.encoder_def.encoder["wrist"].pretrained_encoder(image), trunk(image))
    with pytest.raises(CheckpointError, match="download it again"):
        create_classifier(0, obs, CAMERAS, file, "0" * 64)
    with pytest.raises(CheckpointError, match="there is no weight file"):
        create_classifier(0, obs, CAMERAS, tmp_path / "nothing.safetensors", sha256)


@pytest.mark.parametrize("content", [{"a": [1, 2]}, [1], {"a": object}], ids=["list", "no dict", "code"])
def test_a_file_with_more_than_tensors_is_refused(tmp_path, content):
    file = tmp_path / "weights.pt"
    torch.save(content, file)
    with pytest.raises(CheckpointError) as refusal:
        read_weights(file, None)
    with pytest.raises(CheckpointError, match="something else than named tensors"):
        read_weights(file, str(refusal.value).rsplit(" ", 1)[-1])


def vice_classifier() -> vice.BinaryClassifier:
    trunk = resnetv1_configs["resnetv1-10-frozen"](num_filters=8)
    heads = {c: PreTrainedResNetEncoder(bottleneck_dim=16, pretrained_encoder=trunk) for c in CAMERAS}
    encoder = EncodingWrapper(heads, use_proprio=False, enable_stacking=True, image_keys=CAMERAS)
    network = MLP((24,), "leaky_relu", activate_final=True, use_layer_norm=True, dropout_rate=0.1)
    return vice.BinaryClassifier(trunk, encoder, network, enable_stacking=True)


def test_vice_in_two_halves_is_vice_at_once():
    classifier, obs = vice_classifier(), observation()
    at_once = classifier(obs)
    features = {camera: classifier(images, return_encoded=True) for camera, images in obs.items()}
    assert torch.equal(classifier(features, classify_encoded=True), at_once)
    assert at_once.shape == (2,)
    assert classifier(observation(1)).shape == ()


def test_vice_says_what_each_half_takes():
    with pytest.raises(SchemaMismatch, match="images of one camera"):
        vice_classifier()(observation(), return_encoded=True)
