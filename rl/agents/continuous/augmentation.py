"""Batches of observations with images: unpacking, and random crops whose every draw can be given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Generator, Tensor

from rl.common.encoding import MAP, stack_frames
from rl.common.typing import Batch
from rl.vision.data_augmentations import batched_random_crop, draw_crops

Corners = Mapping[str, Tensor]
"""Crop corners of each camera: (B, 2) for one crop per stack of frames, (B, T, 2) for one per frame."""


@dataclass(frozen=True)
class Crops:
    """Every random number of the augmentation of one batch."""

    observations: Corners
    """Corners of the crops of the observations' images."""
    next_observations: Corners
    """Corners of the crops of the next observations' images, drawn apart from those."""


def unpack(batch: Batch, image_keys: Sequence[str]) -> Batch:
    """Split packed images (B, T + 1, ...) under `observations` into both observations; views, nothing is copied."""
    if not {"observations", "next_observations"} <= batch.keys():
        return batch
    now, then = batch["observations"], batch["next_observations"]
    packed = [key for key in image_keys if key in now and key not in then]
    if not packed:
        return batch
    return {
        **batch,
        "observations": {**now, **{key: now[key][:, :-1] for key in packed}},
        "next_observations": {**then, **{key: now[key][:, 1:] for key in packed}},
    }


def stack_maps(batch: Batch, image_keys: Sequence[str]) -> Batch:
    """Put kept feature maps (B, T, height, width, C) of both observations on one channel axis, as float32."""
    kept = [key + MAP for key in image_keys if key + MAP in batch["observations"]]
    if not kept or batch["observations"][kept[0]].dim() != 5:
        return batch
    moments = {when: batch[when] for when in ("observations", "next_observations")}
    stacked = {
        when: {**moment, **{name: stack_frames(moment[name]).float() for name in kept}}
        for when, moment in moments.items()
    }
    return {**batch, **stacked}


def draw_corners(
    images: Mapping[str, Tensor], padding: int, generator: Generator, *, as_in_serl: bool = False
) -> dict[str, Tensor]:
    """Corners for images (B, T, height, width, channels) by camera.

    Args:
        images: what will be cropped.
        padding: largest shift.
        generator: draws.
        as_in_serl: one draw for all cameras and another for each frame, instead of the reverse.
    """
    if as_in_serl and images:
        first = next(iter(images.values()))
        shared = draw_crops(first.shape[:2], padding, generator, first.device)
        return dict.fromkeys(images, shared)
    return {key: draw_crops(image.shape[:1], padding, generator, image.device) for key, image in images.items()}


def crop(observations: Mapping[str, Tensor], corners: Corners, padding: int) -> dict[str, Tensor]:
    """The observations with the images of the cameras in `corners` shifted."""
    cropped = {
        key: batched_random_crop(observations[key], padding=padding, num_batch_dims=2, crop_from=corner)
        for key, corner in corners.items()
    }
    return {**observations, **cropped}
