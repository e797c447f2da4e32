"""What every image encoder promises, and SERL's crashes that ours do not repeat."""

import copy

import pytest
import torch
from torch import nn

from rl.errors import ConfigError, SchemaMismatch
from rl.nn.layers import materialise
from rl.vision.mobilenet import MobileNetEncoder, mobilenet_features
from rl.vision.resnet_v1 import BottleneckResNetBlock, PreTrainedResNetEncoder, ResNetEncoder, resnetv1_configs
from rl.vision.small_encoders import SmallEncoder


def images(*shape: int) -> torch.Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def small_resnet(**kwargs) -> ResNetEncoder:
    return resnetv1_configs["resnetv1-10"](num_filters=8, **kwargs)


def pretrained(trunk: nn.Module | None = None, **kwargs) -> PreTrainedResNetEncoder:
    return PreTrainedResNetEncoder(bottleneck_dim=16, pretrained_encoder=trunk or small_resnet(), **kwargs)


ENCODERS = {
    "small": lambda: SmallEncoder((8, 8), (3, 3), (2, 2), "VALID", "avg", bottleneck_dim=16),
    "small, embeddings": lambda: SmallEncoder((8, 8), (3, 3), (2, 2), bottleneck_dim=16),
    "resnet": lambda: small_resnet(pre_pooling=False, bottleneck_dim=16),
    "resnet, layer norm": lambda: small_resnet(pre_pooling=False, bottleneck_dim=16, norm="layer"),
    "resnet, softmax": lambda: small_resnet(
        pre_pooling=False, bottleneck_dim=16, pooling_method="spatial_softmax", softmax_temperature=-1
    ),
    "resnet-pretrained": lambda: pretrained(pooling_method="spatial_learned_embeddings"),
    "mobilenet": lambda: MobileNetEncoder(mobilenet_features(), bottleneck_dim=16),
}


@pytest.fixture(params=ENCODERS)
def encoder(request: pytest.FixtureRequest) -> nn.Module:
    return materialise(ENCODERS[request.param](), images(1, 40, 40, 3), generator=torch.Generator().manual_seed(1))


def test_any_leading_axes_give_the_same_features(encoder):
    batch = images(2, 3, 40, 40, 3)
    features = encoder(batch)
    assert features.shape == (2, 3, 16)
    torch.testing.assert_close(encoder(batch[1, 2]), features[1, 2], rtol=1e-4, atol=1e-5)


def test_the_bottleneck_is_bounded(encoder):
    assert encoder(images(4, 40, 40, 3)).abs().max() <= 1


def test_every_trainable_parameter_gets_a_gradient_and_no_frozen_one_does(encoder):
    (encoder(images(2, 40, 40, 3)) * torch.randn(2, 16)).sum().backward()
    for name, parameter in encoder.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, name
    frozen = [name for name, parameter in encoder.named_parameters() if not parameter.requires_grad]
    assert all(name.startswith(("pretrained_encoder.", "encoder.")) for name in frozen)


def test_equal_seeds_give_equal_parameters(encoder):
    again = materialise(copy.deepcopy(encoder), images(1, 40, 40, 3), generator=torch.Generator().manual_seed(1))
    other = materialise(copy.deepcopy(encoder), images(1, 40, 40, 3), generator=torch.Generator().manual_seed(2))
    batch = images(2, 40, 40, 3)
    assert torch.equal(again(batch), encoder(batch))
    assert not torch.equal(other(batch), encoder(batch))


def test_a_copy_has_parameters_of_its_own(encoder):
    batch = images(2, 40, 40, 3)
    before = encoder(batch)
    with torch.no_grad():
        for parameter in copy.deepcopy(encoder).parameters():
            parameter.zero_()
    assert torch.equal(encoder(batch), before)


def test_dropout_acts_on_the_embeddings_while_training_only():
    encoder = SmallEncoder((8, 8), (3, 3), (2, 2))
    batch = images(4, 20, 20, 3)
    plain = encoder(batch)
    assert torch.equal(encoder(batch), plain)
    trained = encoder(batch, train=True)
    kept = trained != 0
    torch.testing.assert_close(trained[kept], plain[kept] / 0.9)
    assert 0 < (~kept & (plain != 0)).float().mean() < 0.3


def test_resnets_take_stacked_frames():
    """S16: three channels per frame met a mean of three channels."""
    assert small_resnet(pre_pooling=False)(images(2, 40, 40, 9)).shape == (2, 64)


def test_the_frozen_trunk_sees_stacked_frames_one_by_one():
    """S16: a trunk that was trained on single frames cannot take stacks."""
    encoder = pretrained()
    stack = images(2, 40, 40, 6)
    features = encoder.features(stack)
    assert torch.equal(features[..., :64], encoder.features(stack[..., :3]))
    assert torch.equal(features[..., 64:], encoder.features(stack[..., 3:]))
    assert encoder(stack).shape == (2, 16)


def test_features_can_be_kept_instead_of_images():
    encoder = pretrained(pooling_method="spatial_learned_embeddings")
    batch = images(3, 40, 40, 3)
    assert torch.equal(encoder(encoder.features(batch), encode=False), encoder(batch))


def test_a_shared_trunk_is_one_module():
    trunk = small_resnet()
    encoders = nn.ModuleList([pretrained(trunk), pretrained(trunk)])
    for encoder in encoders:
        encoder(images(1, 40, 40, 3))
    total = sum(parameter.numel() for parameter in encoders.parameters())
    alone = sum(parameter.numel() for parameter in encoders[0].parameters())
    assert total == alone + sum(p.numel() for p in encoders[1].parameters() if p.requires_grad)


def test_bottleneck_blocks_start_as_their_shortcut():
    block = BottleneckResNetBlock(4, 16, 1, "group", torch.relu)
    x = torch.randn(2, 6, 6, 16)
    assert torch.equal(block(x), torch.relu(x))


def test_a_conditioned_resnet_asks_for_its_condition():
    encoder = small_resnet(pre_pooling=False, use_film=True)
    with pytest.raises(SchemaMismatch, match="pass cond_var"):
        encoder(images(1, 40, 40, 3))


def test_film_starts_as_the_identity():
    plain = materialise(
        small_resnet(pre_pooling=False), images(1, 40, 40, 3), generator=torch.Generator().manual_seed(3)
    )
    film = small_resnet(pre_pooling=False, use_film=True)
    condition = torch.randn(2, 5)
    film(images(2, 40, 40, 3), cond_var=condition)
    film.load_state_dict(plain.state_dict(), strict=False)
    assert torch.equal(film(images(2, 40, 40, 3), cond_var=condition), plain(images(2, 40, 40, 3)))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: SmallEncoder(pool_method="spatial_softmax"), "Allowed: avg, max, spatial_learned_embeddings"),
        (lambda: small_resnet(pooling_method="mean"), "pooling 'mean' is not known"),
        (lambda: small_resnet(norm="batch"), "norm 'batch' is not known. Allowed: group, layer"),
        (lambda: small_resnet(act="relu7"), "no activation is named 'relu7'"),
        (lambda: mobilenet_features("mobilenet_v9"), "Known: mobilenet_v2"),
    ],
)
def test_unknown_options_are_refused_when_the_encoder_is_built(build, message):
    with pytest.raises(ConfigError, match=message):
        build()


def test_frozen_mobilenet_features_stay_in_evaluation_mode():
    encoder = MobileNetEncoder(mobilenet_features(), bottleneck_dim=16).train()
    statistics = {name: buffer.clone() for name, buffer in encoder.encoder.named_buffers()}
    encoder(images(2, 40, 40, 3), train=True)
    assert all(torch.equal(buffer, statistics[name]) for name, buffer in encoder.encoder.named_buffers())
