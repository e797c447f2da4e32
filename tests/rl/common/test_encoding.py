"""The encoding wrappers: what goes where, what gets a gradient, and SERL's crashes that ours do not repeat."""

import pytest
import torch

from rl.common.encoding import EncodingWrapper, GCEncodingWrapper, stack_frames
from rl.errors import ConfigError
from rl.vision.resnet_v1 import PreTrainedResNetEncoder, resnetv1_configs
from rl.vision.small_encoders import SmallEncoder

CAMERAS = ("front", "wrist")


def small() -> SmallEncoder:
    return SmallEncoder((6, 8), (3, 3), (2, 2), "VALID", "avg", bottleneck_dim=16)


def wrapper(encoders=None, **kwargs) -> EncodingWrapper:
    encoders = encoders or {camera: small() for camera in CAMERAS}
    return EncodingWrapper(encoders, True, proprio_latent_dim=12, enable_stacking=True, image_keys=CAMERAS, **kwargs)


def observation(batch: int = 3, frames: int = 2) -> dict[str, torch.Tensor]:
    return {
        **{c: torch.randint(0, 256, (batch, frames, 40, 40, 3), dtype=torch.uint8) for c in CAMERAS},
        "state": torch.randn(batch, frames, 7),
    }


def pretrained_wrapper() -> EncodingWrapper:
    trunk = resnetv1_configs["resnetv1-10-frozen"](num_filters=8)
    return wrapper({c: PreTrainedResNetEncoder(bottleneck_dim=16, pretrained_encoder=trunk) for c in CAMERAS})


def test_frames_go_to_the_channels_in_order():
    frames = torch.randn(4, 2, 5, 6, 3)
    assert torch.equal(stack_frames(frames), torch.cat((frames[:, 0], frames[:, 1]), dim=-1))


def test_the_encoding_is_cameras_in_order_then_state():
    encode, obs = wrapper(), observation()
    whole = encode(obs)
    assert whole.shape == (3, 16 + 16 + 12)
    assert torch.equal(whole[:, 16:32], encode.encoder["wrist"](stack_frames(obs["wrist"])))
    single = encode({key: value[0] for key, value in obs.items()})
    torch.testing.assert_close(single, whole[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "encoder",
    [
        small,
        lambda: resnetv1_configs["resnetv1-10"](num_filters=8, pre_pooling=False, bottleneck_dim=16),
        lambda: PreTrainedResNetEncoder(
            bottleneck_dim=16, pretrained_encoder=resnetv1_configs["resnetv1-10-frozen"](num_filters=8)
        ),
    ],
    ids=["small", "resnet", "resnet-pretrained"],
)
def test_every_encoder_type_takes_a_history(encoder):
    """S7: small and resnet crashed on an argument; S16: resnets crashed on a history."""
    assert wrapper({camera: encoder() for camera in CAMERAS})(observation(), train=True).shape == (3, 44)


def test_stop_gradient_spares_the_proprioceptive_layer():
    """S15, kept and documented: trained agents depend on it."""
    encode = wrapper()
    encode(observation(), stop_gradient=True).sum().backward()
    with_gradient = {name for name, parameter in encode.named_parameters() if parameter.grad is not None}
    assert with_gradient == {"proprio.weight", "proprio.bias", "proprio_norm.weight", "proprio_norm.bias"}


def test_kept_features_encode_like_their_images():
    encode, obs = pretrained_wrapper(), observation()
    whole = encode(obs)
    features = encode.frozen_features(obs)
    assert features["front"].shape == (3, 2, 2, 2 * 64)
    assert torch.equal(encode(features, is_encoded=True), whole)


def test_features_of_a_trained_encoder_are_not_kept():
    with pytest.raises(ConfigError, match="features change with training"):
        wrapper()(observation(), is_encoded=True)


def test_a_camera_without_encoder_is_refused():
    with pytest.raises(ConfigError, match="no encoder for the cameras"):
        EncodingWrapper({"front": small()}, False, image_keys=CAMERAS)


def test_late_fusion_takes_a_history():
    """The original encoded the goal once and concatenated it with every frame's encoding: a crash."""
    encode = GCEncodingWrapper(small(), small(), use_proprio=False, stop_gradient=False)
    images = torch.randint(0, 256, (3, 2, 40, 40, 3), dtype=torch.uint8)
    goal = torch.randint(0, 256, (3, 40, 40, 3), dtype=torch.uint8)
    whole = encode(({"image": images}, {"image": goal}))
    for frame in range(2):
        alone = encode(({"image": images[:, frame]}, {"image": goal}))
        torch.testing.assert_close(whole[:, 32 * frame : 32 * (frame + 1)], alone, rtol=1e-5, atol=1e-6)
