"""The DrQ learner: updates from two cameras with each encoder, with kept features, and acting."""

from __future__ import annotations

import multiprocessing
import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rl.agents.continuous.cached_features import frame_encoding
from rl.agents.continuous.drq import DrQAgent, DrqConfig, make_drq_policy
from rl.common.encoder_config import EncoderConfig
from rl.common.encoding import MAP
from rl.data.schema import Field

CAMERAS = ("front", "wrist")
SIDE, STATE, ACTION = 128, 7, 4

ORIGINAL = {"small": 4860.0, "small utd": 13500.0, "resnet-pretrained": 2750.0, "resnet": 7070.0}
"""Milliseconds of the original in JAX on two cores of another machine."""
BATCH = {"small": 256, "resnet": 64, "resnet-pretrained": 64}
"""Size of the batches that those updates were measured with."""
ORIGINAL_GB = {"small": 2.1, "resnet": 4.6, "resnet-pretrained": 2.9}
"""Peak memory of the original's updates there."""
ACTING_TARGET_MS = {"small": 4.0, "resnet": 10.0}
ACTING_THREADS = (("small", 1), ("resnet", 1), ("resnet", 2))
"""An actor process has one thread; the original's time for the ResNet was taken on two cores."""


def settings(encoder: str) -> DrqConfig:
    return DrqConfig(encoder=EncoderConfig(encoder, CAMERAS))


def make_observation() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    images = {key: generator.integers(0, 256, (1, SIDE, SIDE, 3), np.uint8) for key in CAMERAS}
    return images | {"state": generator.standard_normal((1, STATE)).astype(np.float32)}


def make_batch(size: int) -> dict[str, Any]:
    """A batch of single frames, as a replay buffer gives it."""
    generator = torch.Generator().manual_seed(0)

    def moment() -> dict[str, Tensor]:
        shape = (size, 1, SIDE, SIDE, 3)
        images = {key: torch.randint(256, shape, generator=generator, dtype=torch.uint8) for key in CAMERAS}
        return images | {"state": torch.randn(size, 1, STATE, generator=generator)}

    return {
        "observations": moment(),
        "next_observations": moment(),
        "actions": torch.tanh(torch.randn(size, ACTION, generator=generator)),
        "rewards": torch.randn(size, generator=generator),
        "masks": torch.ones(size),
    }


def keep_features(agent: DrQAgent, batch: dict[str, Any]) -> dict[str, Any]:
    """The batch as a buffer with `cached_features="float16"` gives it: (B, 1, height, width, C)."""

    def kept(moment: dict[str, Tensor]) -> dict[str, Tensor]:
        maps = agent.frozen_maps(moment)
        return {name: value[:, None].half() if name.endswith(MAP) else value for name, value in maps.items()}

    return batch | {when: kept(batch[when]) for when in ("observations", "next_observations")}


def timed(function: Callable[[], Any]) -> float:
    """Milliseconds of one call."""
    start = time.perf_counter()
    function()
    return 1e3 * (time.perf_counter() - start)


def repeated(function: Callable[[], Any], repeats: int) -> float:
    """Median milliseconds after one call that is not counted."""
    function()
    return float(np.median([timed(function) for _ in range(repeats)]))


def measure_memory(encoder: str, share: int) -> float:
    """Most memory in GB that a fresh process takes for updates of all networks, its imports included."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        return pool.submit(peak_of_updates, encoder, BATCH[encoder] // share).result()


def peak_of_updates(encoder: str, size: int) -> float:
    """Most memory in GB that this process has taken after two updates of all networks."""
    agent = DrQAgent.create_drq(make_observation(), ACTION, settings(encoder))
    batch = make_batch(size)
    for _ in range(2):
        agent.update(batch)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def memory_row(encoder: str, share: int) -> dict[str, Any]:
    taken = measure_memory(encoder, share)
    note = f"batch {BATCH[encoder] // share}, process and all; the original takes {ORIGINAL_GB[encoder]} GB"
    return row(f"{encoder}: peak memory", taken, "GB", note if share == 1 else f"batch {BATCH[encoder] // share}")


def measure_small(repeats: int, share: int) -> list[dict[str, Any]]:
    """The small encoder: one update of every network, and a high update ratio on a small batch."""
    agent = DrQAgent.create_drq(make_observation(), ACTION, settings("small"))
    whole, slices = make_batch(BATCH["small"] // share), make_batch(64 // share)
    update = repeated(lambda: agent.update(whole), repeats)
    high_utd = repeated(lambda: agent.update_high_utd(slices, 4), repeats)
    return [
        against("small: update of all", update, 256 // share, "small", share),
        against("small: update_high_utd, ratio 4", high_utd, 64 // share, "small utd", share),
    ]


def measure_resnets(repeats: int, share: int) -> list[dict[str, Any]]:
    """The ResNets from scratch and frozen, each with one update of every network."""
    batch = make_batch(64 // share)
    rows = []
    for encoder in ("resnet", "resnet-pretrained"):
        agent = DrQAgent.create_drq(make_observation(), ACTION, settings(encoder))
        update = repeated(partial(agent.update, batch), repeats)
        rows.append(against(f"{encoder}: update of all", update, 64 // share, encoder, share))
    return rows


def measure_kept_features(encoder: str, repeats: int, share: int) -> list[dict[str, Any]]:
    """A frozen encoder with images, and with the features that a buffer keeps of them."""
    agent = DrQAgent.create_drq(make_observation(), ACTION, settings(encoder))
    images = make_batch(256 // share)
    features = keep_features(agent, images)
    seen = repeated(lambda: agent.update_high_utd(images, 4), repeats)
    kept = repeated(lambda: agent.update_high_utd(features, 4), 5 * repeats)
    name, size = f"{encoder}: update_high_utd, ratio 4", f"batch {256 // share}"
    return [
        row(name, seen, "ms", size),
        row(f"{name}, kept features", kept, "ms", f"{size}; {seen / kept:.1f} times as fast as with images"),
    ]


def measure_keeping(repeats: int) -> list[dict[str, Any]]:
    """Time and memory of the kept features of one moment: both cameras, four shifts."""
    config = replace(settings("efficientnet-lite0"), cached_features="float16", cached_shifts=4)
    agent = DrQAgent.create_drq(make_observation(), ACTION, config)
    images = {key: image for key, image in make_observation().items() if key in CAMERAS}
    fields = {key: Field(image.shape[1:], image.dtype) for key, image in images.items()}
    encoding = frame_encoding(agent, fields, seed=0)
    assert encoding is not None
    keeping = repeated(lambda: encoding.encode(images, np.zeros(1, np.int64)), repeats)
    plain = sum(image.nbytes for image in images.values())
    note = f"both cameras; {encoding.frame_bytes / 1e3:.0f} kB, the images {plain / 1e3:.0f} kB"
    return [row("efficientnet-lite0: features of 4 shifts of a frame", keeping, "ms", note)]


def measure_compact(repeats: int) -> list[dict[str, Any]]:
    """What the preset drq-demo does for one update: 64 x 64 images, three states, two critics."""
    encoder = EncoderConfig("compact", CAMERAS, bottleneck_dim=64)
    config = replace(settings("compact"), encoder=encoder, critic_ensemble_size=2, critic_subsample_size=None)
    batch = make_batch(256)
    for when in ("observations", "next_observations"):
        batch[when] = {key: x[:, :, ::2, ::2].contiguous() if key in CAMERAS else x for key, x in batch[when].items()}
    sample = {key: value[0].numpy() for key, value in batch["observations"].items()}
    agent = DrQAgent.create_drq(sample, ACTION, config)
    update = repeated(lambda: agent.update_high_utd(batch, 2), repeats)
    return [row("compact: update_high_utd(256, 2)", update, "ms", "64x64 images, 2 critics: the preset drq-demo")]


def measure_acting(repeats: int) -> list[dict[str, Any]]:
    """One observation, on as many threads as `ACTING_THREADS` says."""
    before = torch.get_num_threads()
    observation, rows = make_observation(), []
    for encoder, threads in ACTING_THREADS:
        torch.set_num_threads(threads)
        policy = make_drq_policy(observation, ACTION, settings(encoder))
        acting = repeated(partial(policy.sample_actions, observation), repeats)
        note = f"1 observation; target {ACTING_TARGET_MS[encoder]:g} ms"
        rows.append(row(f"act, {encoder}, {threads} thread{'s' * (threads > 1)}", acting, "ms", note))
    torch.set_num_threads(before)
    return rows


def against(name: str, value: float, size: int, original: str, share: int) -> dict[str, Any]:
    """A row with its ratio to the original; a part of the batch is compared with the same part of the time."""
    ratio = ORIGINAL[original] / share / value
    return row(name, value, "ms", f"batch {size}; the original takes {ratio:.1f} times as long, on another machine")


def row(name: str, value: float, unit: str, note: str) -> dict[str, Any]:
    return {"name": name, "value": value, "unit": unit, "note": note}


def run(quick: bool) -> list[dict[str, Any]]:
    """Rows of name, value, unit and note; two 128x128 cameras. A quick run takes a quarter of the batches."""
    repeats, share = (1, 4) if quick else (5, 1)
    # First of all: a process starts with the peak of the one that it came from.
    memory = [memory_row(encoder, share) for encoder in ORIGINAL_GB]
    rows = [*measure_small(repeats, share), *measure_resnets(repeats, share)]
    for encoder in ("resnet-pretrained", "efficientnet-lite0"):
        rows += measure_kept_features(encoder, repeats, share)
    rows += [*measure_keeping(5 * repeats), *measure_compact(repeats)]
    threads = row("threads", torch.get_num_threads(), "", "of all but acting")
    return [*rows, *memory, *measure_acting(10 if quick else 50), threads]
