"""The DrQ learner: updates from two cameras with each encoder, with kept features, and acting."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rl.agents.continuous.drq import DrQAgent, DrqConfig, make_drq_policy
from rl.common.encoders import EncoderConfig
from rl.common.encoding import MAP

CAMERAS = ("front", "wrist")
SIDE, STATE, ACTION = 128, 7, 4

ORIGINAL = {"small": 4860.0, "small utd": 13500.0, "resnet-pretrained": 2750.0, "resnet": 7070.0}
"""Milliseconds of the original in JAX on two cores of another machine."""
ACTING_TARGET_MS = {"small": 4.0, "resnet": 10.0}


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


def measure_small(repeats: int, share: int) -> list[dict[str, Any]]:
    """The small encoder: one update of every network, and a high update ratio on a small batch."""
    agent = DrQAgent.create_drq(make_observation(), ACTION, settings("small"))
    whole, slices = make_batch(256 // share), make_batch(64 // share)
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
        update = repeated(lambda agent=agent: agent.update(batch), repeats)
        rows.append(against(f"{encoder}: update of all", update, 64 // share, encoder, share))
    return rows


def measure_kept_features(repeats: int, share: int) -> list[dict[str, Any]]:
    """The frozen ResNet with images, and with the features that a buffer keeps of them."""
    agent = DrQAgent.create_drq(make_observation(), ACTION, settings("resnet-pretrained"))
    images = make_batch(256 // share)
    features = keep_features(agent, images)
    seen = repeated(lambda: agent.update_high_utd(images, 4), repeats)
    kept = repeated(lambda: agent.update_high_utd(features, 4), 5 * repeats)
    name, size = "resnet-pretrained: update_high_utd, ratio 4", f"batch {256 // share}"
    return [
        row(name, seen, "ms", size),
        row(f"{name}, kept features", kept, "ms", f"{size}; {seen / kept:.1f} times as fast as with images"),
    ]


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
    """One observation, on one thread as in an actor process."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    observation, rows = make_observation(), []
    for encoder, target_ms in ACTING_TARGET_MS.items():
        policy = make_drq_policy(observation, ACTION, settings(encoder))
        acting = repeated(lambda policy=policy: policy.sample_actions(observation), repeats)
        rows.append(row(f"act, {encoder}", acting, "ms", f"1 observation on 1 thread; target {target_ms:g} ms"))
    torch.set_num_threads(threads)
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
    rows = [*measure_small(repeats, share), *measure_resnets(repeats, share)]
    rows += [*measure_kept_features(repeats, share), *measure_compact(repeats)]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    note = f"{torch.get_num_threads()} threads"
    return [*rows, row("peak memory", peak, "MB", note), *measure_acting(10 if quick else 50)]
