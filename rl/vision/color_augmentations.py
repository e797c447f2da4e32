"""Colour spaces, colour jitter and greyscale of batches of float images in [0, 1], (..., height, width, 3).

A strength is one number for all images or a tensor (...) with one for each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Generator, Tensor

from rl.vision.sampling import draw_uniform, per_image

Strength: TypeAlias = float | Tensor

_GREY = (0.2989, 0.5870, 0.1140)


def _spread(strength: Strength, axes: int = 3) -> Strength:
    return strength[(..., *(None,) * axes)] if isinstance(strength, Tensor) else strength


def rgb_to_hsv(r: Tensor, g: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Hue in turns, saturation and value of colours in [0, 1]. Smith 1978, algorithm HSV."""
    value = torch.maximum(torch.maximum(r, g), b)
    spread = value - torch.minimum(torch.minimum(r, g), b)
    safe_value = torch.where(value > 0, value, 1.0)
    sixth = torch.where(spread > 0, 1 / (6 * torch.where(spread > 0, spread, 1.0)), 0.0)
    green_or_blue = torch.where(g == value, (b - r) * sixth + 1 / 3, (r - g) * sixth + 2 / 3)
    hue = torch.where(r == value, (g - b) * sixth, green_or_blue)
    return torch.where(spread > 0, hue.remainder(1.0), 0.0), spread / safe_value, value


def hsv_to_rgb(h: Tensor, s: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The inverse of `rgb_to_hsv`; hues may be any number of turns."""

    def channel(offset: float) -> Tensor:
        sector = (offset + 6 * h).remainder(6.0)
        return v - v * s * torch.minimum(sector, 4 - sector).clamp(0, 1)

    return channel(5), channel(3), channel(1)


def adjust_brightness(images: Tensor, delta: Strength) -> Tensor:
    """Add `delta`; not clipped."""
    return images + _spread(delta)


def adjust_contrast(images: Tensor, factor: Strength) -> Tensor:
    """Scale the distance to each channel's mean over the image; not clipped."""
    mean = images.mean((-3, -2), keepdim=True)
    return mean + _spread(factor) * (images - mean)


def _in_hsv(images: Tensor, change: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]) -> Tensor:
    hue, saturation, value = rgb_to_hsv(*images.unbind(-1))
    return torch.stack(hsv_to_rgb(*change(hue, saturation), value), dim=-1)


def adjust_saturation(images: Tensor, factor: Strength) -> Tensor:
    """Scale the saturation, clipped to [0, 1]."""
    return _in_hsv(images, lambda hue, saturation: (hue, (saturation * _spread(factor, 2)).clamp(0, 1)))


def adjust_hue(images: Tensor, delta: Strength) -> Tensor:
    """Turn the hue by `delta` turns."""
    return _in_hsv(images, lambda hue, saturation: ((hue + _spread(delta, 2)).remainder(1.0), saturation))


def to_grayscale(images: Tensor) -> Tensor:
    """Luma of ITU-R BT.601 in all three channels."""
    grey = images @ torch.tensor(_GREY, device=images.device, dtype=images.dtype)
    return grey.unsqueeze(-1).expand(images.shape)


JITTERS: tuple[Callable[[Tensor, Strength], Tensor], ...] = (
    adjust_brightness, adjust_contrast, adjust_saturation, adjust_hue,
)  # fmt: skip
"""The parts of a colour jitter, in the order of `ColorDraws.factors`."""


@dataclass(frozen=True)
class ColorDraws:
    """All random numbers of a colour transform of N images."""

    apply: Tensor
    """(N,) uniform in [0, 1): compared with the probability that an image is changed at all."""
    grayscale: Tensor
    """(N,) uniform in [0, 1)."""
    jitter: Tensor
    """(N,) uniform in [0, 1)."""
    factors: Tensor
    """(N, 4): brightness delta, contrast factor, saturation factor, hue delta."""
    order: Tensor
    """(N, 4): which of the four comes first, second, ...; integers."""


def draw_colors(
    count: int, strengths: Sequence[float], shuffle: bool, generator: Generator | None, device: torch.device
) -> ColorDraws:
    """Draw for `count` images; `strengths` are the half widths of brightness, contrast, saturation and hue."""
    apply, grayscale, jitter = draw_uniform((3, count), generator, device)
    half_widths = torch.tensor(list(strengths), device=device)
    centres = torch.tensor([0.0, 1.0, 1.0, 0.0], device=device)
    keys = draw_uniform((count, 4), generator, device)
    order = keys.argsort(-1) if shuffle else torch.arange(4, device=device).expand(count, 4)
    factors = centres + half_widths * draw_uniform((count, 4), generator, device, -1.0, 1.0)
    return ColorDraws(apply, grayscale, jitter, factors, order)


def color_transform(
    images: Tensor,
    generator: Generator | None = None,
    *,
    brightness: float = 0.8,
    contrast: float = 0.8,
    saturation: float = 0.8,
    hue: float = 0.2,
    to_grayscale_prob: float = 0.2,
    color_jitter_prob: float = 0.8,
    apply_prob: float = 1.0,
    shuffle: bool = True,
    draws: ColorDraws | None = None,
) -> Tensor:
    """Jitter the colours of each image and turn some grey. Grill et al. 2020 (arXiv:2006.07733), appendix B.

    Args:
        images: (N, height, width, 3) in [0, 1].
        generator: draws when `draws` is None.
        brightness: largest change of brightness; 0 leaves it out, as for the next three.
        contrast: largest distance of the contrast factor to 1.
        saturation: largest distance of the saturation factor to 1.
        hue: largest turn of the hue.
        to_grayscale_prob: share of images that turn grey.
        color_jitter_prob: share of images whose colours are jittered.
        apply_prob: share of images that are changed at all.
        shuffle: jitter in a random order instead of brightness, contrast, saturation, hue.
        draws: the random numbers.
    """
    strengths = (brightness, contrast, saturation, hue)
    drawn = draws or draw_colors(len(images), strengths, shuffle, generator, images.device)

    x = images
    for position in range(4):
        changed = x
        for index, jitter in enumerate(JITTERS):
            # Without shuffling each position has its one jitter, and the other three need not be computed.
            if strengths[index] > 0 and (shuffle or index == position):
                here = per_image(drawn.order[:, position] == index)
                changed = torch.where(here, jitter(x, drawn.factors[:, index]).clamp(0, 1), changed)
        x = changed
    x = torch.where(per_image(drawn.jitter <= color_jitter_prob), x, images)
    x = torch.where(per_image(drawn.grayscale <= to_grayscale_prob), to_grayscale(x), x)
    return torch.where(per_image(drawn.apply <= apply_prob), x, images)
