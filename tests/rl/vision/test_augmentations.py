"""Augmentations as laws: what they keep, what they draw, and from which generator."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rl.vision import data_augmentations as aug


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(*shape: int, dtype: torch.dtype = torch.uint8) -> torch.Tensor:
    return torch.randint(0, 256, shape, generator=generator()).to(dtype)


@given(st.integers(0, 8), st.integers(0, 8), st.integers(2, 12), st.integers(2, 12))
def test_a_crop_is_a_shift_with_repeated_borders(row, column, height, width):
    image = images(height, width, 3)
    cropped = aug.random_crop(image, padding=4, crop_from=torch.tensor([row, column]))
    rows = (torch.arange(height) + row - 4).clamp(0, height - 1)
    columns = (torch.arange(width) + column - 4).clamp(0, width - 1)
    assert torch.equal(cropped, image[rows][:, columns])


def test_the_middle_crop_changes_nothing():
    batch = images(3, 7, 6, 3)
    assert torch.equal(aug.random_crop(batch, padding=4, crop_from=torch.full((3, 2), 4)), batch)


def test_all_frames_of_a_stack_move_together_and_samples_apart():
    """S9: the original moved every frame of a stack by itself."""
    frame = images(1, 1, 16, 16, 3)
    batch = frame.expand(20, 3, -1, -1, -1)
    cropped = aug.batched_random_crop(batch, generator(), num_batch_dims=2)
    assert torch.equal(cropped, cropped[:, :1].expand_as(cropped))
    assert len({sample.numpy().tobytes() for sample in cropped[:, 0]}) > 10


def test_cameras_cropped_one_after_the_other_move_independently():
    """S9: the original gave all cameras the same shift."""
    shared = generator()
    first, second = (aug.draw_crops((200,), 4, shared, torch.device("cpu")) for _ in range(2))
    assert not torch.equal(first, second)
    assert abs(torch.corrcoef(torch.stack((first[:, 0], second[:, 0])).float())[0, 1]) < 0.25


def test_crop_corners_are_uniform_over_all_places():
    corners = aug.draw_crops((9000,), 4, generator(), torch.device("cpu"))
    counts = torch.bincount(corners.flatten(), minlength=9)
    assert len(counts) == 9
    assert (counts - 2000).abs().max() < 6 * 2000**0.5


def test_corners_per_frame_reproduce_the_original():
    batch = images(2, 3, 8, 8, 3)
    corners = aug.draw_crops((2, 3), 4, generator(), torch.device("cpu"))
    cropped = aug.batched_random_crop(batch, num_batch_dims=2, crop_from=corners)
    for sample in range(2):
        for frame in range(3):
            alone = aug.random_crop(batch[sample, frame], crop_from=corners[sample, frame])
            assert torch.equal(cropped[sample, frame], alone)


@pytest.mark.parametrize(
    "augment",
    [
        lambda x, g: aug.random_crop(x, g),
        lambda x, g: aug.random_flip(x, g),
        lambda x, g: aug.color_transform(x, g),
        lambda x, g: aug.solarize(x, g, apply_prob=0.5),
        lambda x, g: aug.gaussian_blur(x, g, apply_prob=0.5),
    ],
    ids=["crop", "flip", "color", "solarize", "blur"],
)
def test_draws_come_from_the_generator_alone(augment):
    batch = images(8, 20, 20, 3) / 255
    torch.manual_seed(0)
    first = augment(batch, generator(5))
    torch.manual_seed(1)
    assert torch.equal(augment(batch, generator(5)), first)
    assert not torch.equal(augment(batch, generator(6)), first)
    assert first.shape == batch.shape


@given(st.integers(0, 2**31))
def test_hsv_there_and_back_is_the_identity(seed):
    rgb = torch.rand(3, 50, generator=generator(seed))
    torch.testing.assert_close(torch.stack(aug.hsv_to_rgb(*aug.rgb_to_hsv(*rgb))), rgb, rtol=1e-5, atol=1e-6)


def test_a_whole_turn_of_the_hue_changes_nothing():
    batch = images(2, 5, 5, 3) / 255
    torch.testing.assert_close(aug.adjust_hue(batch, 1.0), batch, rtol=1e-4, atol=1e-5)


def test_grey_images_have_no_hue_and_black_ones_no_saturation():
    grey = torch.tensor([0.0, 0.5, 1.0])
    hue, saturation, value = aug.rgb_to_hsv(grey, grey, grey)
    assert torch.equal(hue, torch.zeros(3))
    assert torch.equal(saturation, torch.zeros(3))
    assert torch.equal(value, grey)


def test_strengths_of_a_batch_act_image_by_image():
    batch, factors = images(3, 6, 6, 3) / 255, torch.tensor([0.5, 1.0, 1.5])
    for adjust in (aug.adjust_brightness, aug.adjust_contrast, aug.adjust_saturation, aug.adjust_hue):
        together = adjust(batch, factors)
        for index, factor in enumerate(factors):
            torch.testing.assert_close(together[index], adjust(batch[index], float(factor)))


def test_a_color_transform_that_is_never_applied_is_the_identity():
    batch = images(4, 6, 6, 3) / 255
    assert torch.equal(aug.color_transform(batch, generator(), apply_prob=-1.0), batch)


def test_color_transform_stays_within_bounds():
    out = aug.color_transform(images(16, 8, 8, 3) / 255, generator(), color_jitter_prob=1.0)
    assert out.min() >= 0
    assert out.max() <= 1


def test_blur_keeps_the_mean_far_from_the_border_and_narrow_blur_keeps_everything():
    batch = torch.ones(2, 30, 30, 3)
    torch.testing.assert_close(aug.blur(batch, 5, 1.0)[:, 5:-5, 5:-5], batch[:, 5:-5, 5:-5])
    noise = images(2, 10, 10, 3) / 255
    torch.testing.assert_close(aug.blur(noise, 5, 1e-2), noise)


def test_flipping_twice_is_the_identity():
    batch = images(4, 5, 6, 3)
    flipped = aug.random_flip(batch, draws=torch.zeros(4))
    assert torch.equal(flipped, batch.flip(-2))
    assert torch.equal(aug.random_flip(flipped, draws=torch.zeros(4)), batch)


def test_solarize_leaves_dark_values():
    batch = torch.tensor([0.2, 0.5, 0.9]).expand(1, 1, 1, 3)
    torch.testing.assert_close(aug.solarize(batch), torch.tensor([0.2, 0.5, 0.1]).expand(1, 1, 1, 3))
