"""How fast images are encoded and augmented, against the rate of matrix products in the same run."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from rl.common.encoding import EncodingWrapper
from rl.vision.data_augmentations import batched_random_crop
from rl.vision.resnet_v1 import PreTrainedResNetEncoder, resnetv1_configs
from rl.vision.small_encoders import SmallEncoder

CAMERAS = ("front", "wrist")
SIZE = 128


def run(quick: bool) -> list[dict[str, Any]]:
    """Measure everything; best of several repeats. A pass is forward and backward over both 128×128 cameras.

    A quick run takes a quarter of the batches.
    """
    repeats, share = (2, 4) if quick else (7, 1)
    bound = _matrix_product_flops(repeats)
    return [
        _row("matrix product 2048³", bound / 1e9, "GFLOP/s", f"the bound, {torch.get_num_threads()} threads"),
        *_pass_rows("small", _small, 256 // share, repeats, bound),
        *_pass_rows("resnet", _resnet, 64 // share, repeats, bound),
        *_pretrained_rows(64 // share, repeats, bound),
        *_layout_rows(repeats),
        *_single_rows(5 * repeats),
        *_crop_rows(5 * repeats),
    ]


def _small() -> nn.Module:
    return SmallEncoder((32, 64, 128, 256), (3,) * 4, (2,) * 4, "VALID", "avg", bottleneck_dim=256)


def _resnet() -> nn.Module:
    return resnetv1_configs["resnetv1-10"](
        pre_pooling=False, pooling_method="spatial_learned_embeddings", bottleneck_dim=256
    )


def _wrapper(build: Callable[[], nn.Module]) -> EncodingWrapper:
    encoders = {camera: build() for camera in CAMERAS}
    wrapper = EncodingWrapper(encoders, use_proprio=False, enable_stacking=True, image_keys=CAMERAS)
    with torch.no_grad():
        wrapper(_images(1))
    return wrapper


def _pretrained() -> EncodingWrapper:
    trunk = resnetv1_configs["resnetv1-10-frozen"]()
    return _wrapper(
        lambda: PreTrainedResNetEncoder("spatial_learned_embeddings", bottleneck_dim=256, pretrained_encoder=trunk)
    )


def _images(batch: int) -> dict[str, Tensor]:
    shape = (batch, 1, SIZE, SIZE, 3)
    return {camera: torch.randint(0, 256, shape, dtype=torch.uint8) for camera in CAMERAS}


def _pass(module: nn.Module, observations: dict[str, Tensor], **kwargs: bool) -> Callable[[], None]:
    def forward_and_backward() -> None:
        module.zero_grad()
        module(observations, **kwargs).square().sum().backward()

    return forward_and_backward


def _pass_rows(
    name: str, build: Callable[[], nn.Module], batch: int, repeats: int, bound: float
) -> list[dict[str, Any]]:
    step = _pass(_wrapper(build), _images(batch))
    flops = _flops(step)
    seconds = _best_s(step, repeats)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        bf16_seconds = _best_s(step, repeats)
    note = f"{flops / 1e9:.0f} GFLOP, {flops / seconds / bound:.0%} of the bound"
    bf16_note = f"{seconds / bf16_seconds:.2f} times as fast as float32"
    return [
        _row(f"{name}, pass of {batch}", seconds * 1e3, "ms", note),
        _row(f"{name}, pass of {batch}, bf16", bf16_seconds * 1e3, "ms", bf16_note),
    ]


def _pretrained_rows(batch: int, repeats: int, bound: float) -> list[dict[str, Any]]:
    wrapper, observations = _pretrained(), _images(batch)
    step = _pass(wrapper, observations)
    flops = _flops(step)
    seconds = _best_s(step, repeats)
    kept_seconds = _best_s(_pass(wrapper, wrapper.frozen_features(observations), is_encoded=True), 5 * repeats)
    note = f"{flops / 1e9:.0f} GFLOP, {flops / seconds / bound:.0%} of the bound"
    kept_note = f"{seconds / kept_seconds:.0f} times as fast: the trunk does not run"
    return [
        _row(f"resnet-pretrained, pass of {batch}", seconds * 1e3, "ms", note),
        _row(f"resnet-pretrained, pass of {batch} kept features", kept_seconds * 1e3, "ms", kept_note),
    ]


def _layout_rows(repeats: int) -> list[dict[str, Any]]:
    """The small encoder's convolutions alone, in both memory layouts."""
    widths = (3, 32, 64, 128, 256)
    layers = [nn.Sequential(nn.Conv2d(a, b, 3, 2), nn.ReLU()) for a, b in itertools.pairwise(widths)]
    stack = nn.Sequential(*layers)
    images = torch.rand(64, 3, SIZE, SIZE)

    def step(layout: torch.memory_format) -> float:
        stack.to(memory_format=layout)  # type: ignore[call-overload]
        x = images.to(memory_format=layout)
        return _best_s(lambda: stack(x).sum().backward(), repeats)

    last, first = step(torch.channels_last), step(torch.contiguous_format)
    return [
        _row("small convolutions of 64, channels last", last * 1e3, "ms", "one camera"),
        _row("small convolutions of 64, channels first", first * 1e3, "ms", f"{first / last:.2f} times as long"),
    ]


def _single_rows(repeats: int) -> list[dict[str, Any]]:
    rows = []
    for name, wrapper in (("small", _wrapper(_small)), ("resnet", _wrapper(_resnet))):
        observation = {camera: image[0] for camera, image in _images(1).items()}
        with torch.inference_mode():
            seconds = _best_s(lambda w=wrapper, o=observation: w(o), repeats)  # type: ignore[misc]
        rows.append(_row(f"{name}, one observation", seconds * 1e3, "ms", "both cameras, forward only"))
    return rows


def _crop_rows(repeats: int) -> list[dict[str, Any]]:
    images, generator = _images(256)["front"], torch.Generator().manual_seed(0)
    seconds = _best_s(lambda: batched_random_crop(images, generator, num_batch_dims=2), repeats)
    copy_seconds = _best_s(images.clone, repeats)
    return [_row("random crop of 256", seconds * 1e3, "ms", f"one camera; a copy takes {copy_seconds * 1e3:.1f} ms")]


def _flops(step: Callable[[], None]) -> float:
    with FlopCounterMode(display=False) as counter:
        step()
    return float(counter.get_total_flops())


def _matrix_product_flops(repeats: int) -> float:
    size = 2048
    a = torch.rand(size, size)
    return 2 * size**3 / _best_s(lambda: a @ a, repeats)


def _best_s(step: Callable[[], Any], repeats: int) -> float:
    step()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        step()
        times.append(time.perf_counter() - began)
    return min(times)


def _row(name: str, value: float, unit: str, note: str) -> dict[str, Any]:
    return {"name": name, "value": value, "unit": unit, "note": note}
