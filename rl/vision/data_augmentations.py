"""Random shifts, flips, blur and solarisation of whole batches of images; `color_augmentations` has the colours.

Images are (..., height, width, channels). Every function works on the images' device and
takes the draws themselves or a generator to draw them from.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from rl.vision.color_augmentations import (
    ColorDraws,
    adjust_brightness,
    adjust_contrast,
    adjust_hue,
    adjust_saturation,
    color_transform,
    draw_colors,
    hsv_to_rgb,
    rgb_to_hsv,
    to_grayscale,
)
from rl.vision.sampling import draw_uniform, per_image

__all__ = [
    "ColorDraws",
    "adjust_brightness",
    "adjust_contrast",
    "adjust_hue",
    "adjust_saturation",
    "batched_random_crop",
    "blur",
    "color_transform",
    "draw_colors",
    "draw_crops",
    "gaussian_blur",
    "hsv_to_rgb",
    "random_crop",
    "random_flip",
    "rgb_to_hsv",
    "solarize",
    "to_grayscale",
]


def draw_crops(lead: Sequence[int], padding: int, generator: Generator | None, device: torch.device) -> Tensor:
    """Crop corners (*lead, 2), rows then columns, uniform in 0 .. 2 * padding; (padding, padding) changes nothing."""
    source = device if generator is None else generator.device
    return torch.randint(0, 2 * padding + 1, (*lead, 2), generator=generator, device=source).to(device)


def random_crop(
    img: Tensor, generator: Generator | None = None, *, padding: int = 4, crop_from: Tensor | None = None
) -> Tensor:
    """Shift one image (height, width, channels), or each of a batch (batch, height, width, channels), by its own crop.

    Args:
        img: images of any type.
        generator: draws the corners when `crop_from` is None.
        padding: number of times that the border is repeated on each side before an equally large image is cut out.
        crop_from: corners (2,) or (batch, 2), rows then columns, in 0 .. 2 * padding.
    """
    lead = img.shape[:-3]
    corners = draw_crops(lead, padding, generator, img.device) if crop_from is None else crop_from.to(img.device)
    return _crop(img.reshape(-1, *img.shape[-3:]), corners.reshape(-1, 2), padding).reshape(img.shape)


def batched_random_crop(
    img: Tensor,
    generator: Generator | None = None,
    *,
    padding: int = 4,
    num_batch_dims: int = 1,
    crop_from: Tensor | None = None,
) -> Tensor:
    """Shift images (*batch, height, width, channels), all frames of a sample alike.

    The original gave every frame of a stack a shift of its own, which hides the motion between them, and the same
    shifts to all cameras; call this once per camera for independent ones.

    Args:
        img: images of any type; the first axis is the samples, further batch axes are a sample's frames.
        generator: draws one corner for each sample when `crop_from` is None.
        padding: see `random_crop`.
        num_batch_dims: number of batch axes.
        crop_from: corners (samples, 2), or (*batch, 2) for a shift per frame as in the original.
    """
    batch = img.shape[:num_batch_dims]
    corners = draw_crops(batch[:1], padding, generator, img.device) if crop_from is None else crop_from
    frame_axes = num_batch_dims - (corners.dim() - 1)
    corners = corners.reshape(*corners.shape[:-1], *(1,) * frame_axes, 2).expand(*batch, 2)
    flat = random_crop(img.flatten(0, num_batch_dims - 1), padding=padding, crop_from=corners.reshape(-1, 2))
    return torch.unflatten(flat, 0, batch)


def _crop(images: Tensor, corners: Tensor, padding: int) -> Tensor:
    """Cut (N, height, width, channels) out of itself with repeated borders; corners (N, 2)."""
    count, height, width, channels = images.shape
    wide = images.new_empty(count, height, width + 2 * padding, channels)
    wide[:, :, padding : padding + width] = images
    wide[:, :, :padding] = images[:, :, :1]
    wide[:, :, padding + width :] = images[:, :, -1:]
    # A cropped row is one contiguous run of the padded image, so that all rows are one gather of overlapping windows;
    # rows above and below the image are the clamped ones, which saves padding the height.
    rows = (torch.arange(height, device=images.device) + corners[:, :1] - padding).clamp(0, height - 1)
    image_start = torch.arange(count, device=images.device)[:, None] * height
    start = (image_start + rows) * (width + 2 * padding) + corners[:, 1:]
    windows = wide.flatten().unfold(0, width * channels, channels)
    return windows.index_select(0, start.flatten()).reshape(images.shape)


def random_flip(
    img: Tensor, generator: Generator | None = None, *, apply_prob: float = 0.5, draws: Tensor | None = None
) -> Tensor:
    """Mirror each image (..., height, width, channels) left to right with probability `apply_prob`.

    Args:
        img: images of any type.
        generator: draws when `draws` is None.
        apply_prob: share of images that is mirrored.
        draws: uniform numbers (...); an image is mirrored where they are at most `apply_prob`.
    """
    uniform = draw_uniform(img.shape[:-3], generator, img.device) if draws is None else draws
    return torch.where(per_image(uniform <= apply_prob), img.flip(-2), img)


def solarize(
    images: Tensor,
    generator: Generator | None = None,
    *,
    threshold: float = 0.5,
    apply_prob: float = 1.0,
    draws: Tensor | None = None,
) -> Tensor:
    """Invert values from `threshold` on, in a share `apply_prob` of the images; `draws` (...) as in `random_flip`."""
    uniform = draw_uniform(images.shape[:-3], generator, images.device) if draws is None else draws
    inverted = torch.where(images < threshold, images, 1 - images)
    return torch.where(per_image(uniform <= apply_prob), inverted, images)


def blur(images: Tensor, kernel_size: float, sigma: float | Tensor) -> Tensor:
    """Convolve (N, height, width, channels) with a Gaussian of `sigma` pixels cut at `kernel_size` / 2; 0 outside."""
    radius = int(kernel_size / 2)
    taps = torch.arange(-radius, radius + 1, device=images.device, dtype=images.dtype)
    width = torch.as_tensor(sigma, device=images.device, dtype=images.dtype).expand(len(images))
    weights = torch.softmax(-taps.square() / (2 * width.square())[:, None], dim=-1)
    for axis in (2, 1):
        size = images.shape[axis]
        padded = F.pad(images, (0, 0, radius, radius) if axis == 2 else (0, 0, 0, 0, radius, radius))
        shifted = (padded.narrow(axis, tap, size) * per_image(weights[:, tap]) for tap in range(2 * radius + 1))
        images = sum(shifted, torch.zeros_like(images))
    return images


def gaussian_blur(
    images: Tensor,
    generator: Generator | None = None,
    *,
    blur_divider: float = 10.0,
    sigma_min: float = 0.1,
    sigma_max: float = 2.0,
    apply_prob: float = 1.0,
) -> Tensor:
    """Blur a share `apply_prob` of (N, height, width, channels), each by a width of its own.

    Args:
        images: float images.
        generator: draws widths and choices.
        blur_divider: the window is the image's height divided by this.
        sigma_min: smallest width in pixels.
        sigma_max: largest width in pixels.
        apply_prob: share of images that are blurred.
    """
    chosen = draw_uniform(images.shape[:1], generator, images.device) <= apply_prob
    sigma = draw_uniform(images.shape[:1], generator, images.device, sigma_min, sigma_max)
    return torch.where(per_image(chosen), blur(images, images.shape[1] / blur_divider, sigma), images)
