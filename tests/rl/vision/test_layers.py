"""Flax's paddings and norms as laws: shapes, places and invariances."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rl.errors import ConfigError, SchemaMismatch
from rl.nn.layers import materialise
from rl.vision.layers import Conv, ImageNetNormalise, MyGroupNorm, halving_max_pool, same_padding

sizes = st.integers(1, 40)
windows = st.integers(1, 7)
strides = st.integers(1, 3)


@given(sizes, windows, strides)
def test_same_padding_gives_one_window_per_stride_and_the_odd_cell_goes_after(size, window, stride):
    before, after = same_padding(size, window, stride)
    assert 0 <= after - before <= 1
    assert (size + before + after - window) // stride + 1 == -(-size // stride)


@given(sizes)
def test_the_max_pool_is_the_maximum_over_the_windows_inside_the_image(size):
    image = -torch.rand(1, size, size, 1)
    pooled = halving_max_pool(image)
    before, _ = same_padding(size, 3, 2)
    assert pooled.shape[1] == -(-size // 2)
    for index in range(pooled.shape[1]):
        start = 2 * index - before
        window = image[:, max(start, 0) : start + 3, max(-before, 0) : 3 - before]
        assert torch.equal(pooled[:, index, 0], window.amax((1, 2)))


def test_an_even_image_is_sampled_from_its_first_pixel_at_stride_two():
    conv = materialise(Conv(1, 3, 2, use_bias=False), torch.zeros(1, 8, 8, 1))
    with torch.no_grad():
        conv.weight.zero_()
        conv.weight[0, 0, 0, 0] = 1.0
    image = torch.arange(64.0).reshape(1, 8, 8, 1)
    assert torch.equal(conv(image), image[:, ::2, ::2])


def test_convolution_keeps_channels_last_memory_without_copies():
    x = torch.randn(2, 9, 9, 4)
    y = Conv(6, 3, padding=1)(x)
    assert y.is_contiguous()


def test_unknown_padding_is_refused():
    with pytest.raises(ConfigError, match="Allowed: 'SAME', 'VALID'"):
        Conv(1, 3, padding="same")(torch.zeros(1, 4, 4, 1))


@given(st.floats(0.1, 10), st.floats(-5, 5))
def test_group_norm_forgets_scale_and_shift_of_each_sample(scale, shift):
    norm = MyGroupNorm(num_groups=2, epsilon=0.0)
    x = torch.randn(3, 4, 4, 6)
    torch.testing.assert_close(norm(x * scale + shift), norm(x), rtol=1e-3, atol=1e-3)


def test_normalisation_treats_stacked_frames_like_single_ones():
    normalise = ImageNetNormalise()
    frames = torch.randint(0, 256, (2, 5, 5, 6), dtype=torch.uint8)
    expected = torch.cat((normalise(frames[..., :3]), normalise(frames[..., 3:])), dim=-1)
    assert torch.equal(normalise(frames), expected)
    with pytest.raises(SchemaMismatch, match="multiple of 3"):
        normalise(frames[..., :4])
