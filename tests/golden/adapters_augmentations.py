"""Adapters of the image augmentations."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from rl.vision import data_augmentations as aug
from tests.golden.serl import Fixture, adapter, compare, evaluate

NEVER, ALWAYS = torch.tensor(2.0), torch.tensor(0.0)


def arguments(fixture: Fixture) -> dict[str, Any]:
    """The keyword arguments that the manifest prints, as a dict or as `name=value` pairs."""
    ctor = fixture.entry["ctor"]
    return evaluate(ctor if ctor.startswith("{") else f"dict({ctor})", {"dict": dict})


def exactly(fixture: Fixture, actual: Tensor, key: str) -> None:
    compare(actual, fixture.arrays[key], f"{fixture.name}:{key}", fixture.entry)


def in_planes(convert, image: Tensor) -> Tensor:
    return torch.stack(convert(*image.unbind(-1)), dim=-1)


@adapter("vision.data_augmentations.rgb_to_hsv/hsv_to_rgb")
def check_hsv(fixture: Fixture) -> None:
    given = fixture.tensors("in")
    hsv = in_planes(aug.rgb_to_hsv, given["rgb"])
    exactly(fixture, hsv, "out/hsv")
    exactly(fixture, in_planes(aug.hsv_to_rgb, hsv), "out/rgb_roundtrip")
    exactly(fixture, in_planes(aug.hsv_to_rgb, given["hsv_any"]), "out/rgb_from_hsv_any")


@adapter("vision.data_augmentations.adjust_*")
def check_adjustments(fixture: Fixture) -> None:
    given = fixture.tensors("in")
    image = given.pop("rgb")
    for name, strength in given.items():
        kind, _, number = name.replace("delta", "factor").partition("_factor")
        adjusted = getattr(aug, f"adjust_{kind}")(image[None], strength[None])[0]
        exactly(fixture, adjusted, f"out/{kind}{number}")
    exactly(fixture, aug.to_grayscale(image), "out/grayscale")


@adapter("vision.data_augmentations.solarize")
def check_solarize(fixture: Fixture) -> None:
    given = fixture.tensors("in")
    threshold = float(given["threshold"])
    exactly(fixture, aug.solarize(given["image"], threshold=threshold, draws=ALWAYS), "out")
    exactly(fixture, aug.solarize(given["image"], threshold=threshold, draws=NEVER), "out_not_applied")


@adapter("vision.data_augmentations._gaussian_blur_single_image")
def check_blur(fixture: Fixture) -> None:
    given = fixture.tensors("in")
    image = given.pop("image")
    for index in range(len(given) // 2):
        blurred = aug.blur(image[None], float(given[f"kernel_size{index}"]), given[f"sigma{index}"])
        exactly(fixture, blurred[0], f"out/blur{index}")


@adapter("vision.data_augmentations.random_crop")
def check_random_crop(fixture: Fixture) -> None:
    given = fixture.tensors("in")
    images = given["image"].expand(len(given["crop_from"]), -1, -1, -1)
    exactly(fixture, aug.random_crop(images, crop_from=given["crop_from"], **arguments(fixture)), "out")


@adapter("vision.data_augmentations.batched_random_crop")
def check_batched_random_crop(fixture: Fixture) -> None:
    images, kwargs = fixture.tensors("in")["image"], arguments(fixture)
    corners = fixture.tensors("noise")["crop_from"].unflatten(0, images.shape[: kwargs["num_batch_dims"]])
    exactly(fixture, aug.batched_random_crop(images, crop_from=corners, **kwargs), "out")


@adapter("vision.data_augmentations.color_transform")
def check_color_transform(fixture: Fixture) -> None:
    noise, image = fixture.tensors("noise"), fixture.tensors("in")["image"]
    uniform = noise["uniform_draws"]
    order = noise.get("order", torch.arange(4)).long()
    factors = torch.zeros(4)
    # The jitter's factors were drawn in the order of their use; without the jitter there are none.
    factors[order[: len(uniform) - 3]] = uniform[3:]
    draws = aug.ColorDraws(*uniform[:3, None], factors[None], order[None])
    exactly(fixture, aug.color_transform(image[None], draws=draws, **arguments(fixture))[0], "out")
