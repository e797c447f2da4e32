"""How fast transitions are kept, drawn, mixed and journalled; the shapes are those of the pick-cube tasks."""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from rl.data.journal import TransitionJournal
from rl.data.memory_efficient_replay_buffer import MemoryEfficientReplayBuffer
from rl.data.mixture import MixedBatches
from rl.data.replay_buffer import ReplayBuffer
from rl.utils.tree import map_leaves

STATE = gym.spaces.Box(-np.inf, np.inf, (10,), np.float32)
PIXELS = gym.spaces.Dict({
    "state": gym.spaces.Box(-np.inf, np.inf, (7,), np.float32),
    "front": gym.spaces.Box(0, 255, (128, 128, 3), np.uint8),
    "wrist": gym.spaces.Box(0, 255, (128, 128, 3), np.uint8),
})  # fmt: skip
STACKED = gym.spaces.Dict({
    name: gym.spaces.Box(inner.low[None], inner.high[None], dtype=inner.dtype)  # type: ignore[attr-defined, arg-type]
    for name, inner in PIXELS.spaces.items()
})  # fmt: skip
ACTION = gym.spaces.Box(-1.0, 1.0, (4,), np.float32)


def run(quick: bool) -> list[dict[str, Any]]:
    """Measure everything; medians."""
    repeats = 50 if quick else 500
    return [*_state_rows(repeats), *_pixel_rows(repeats // 10), *_journal_rows(repeats // 5)]


def _state_rows(repeats: int) -> list[dict[str, Any]]:
    online, demos = _filled(STATE, 200_000, seed=0), _filled(STATE, 5_000, seed=1)
    chunk = _batch(STATE, 300)
    single = {name: value[0] for name, value in chunk.items()}
    mixed = MixedBatches([(online, 0.5), (demos, 0.5)], 2048)
    return [
        _row("state insert", _median_s(lambda: online.insert(single), repeats), 1e6, "µs", "one transition"),
        _row("state extend(300)", _median_s(lambda: online.extend(chunk), repeats), 1e6, "µs", "300 transitions"),
        _row("state sample(256)", _median_s(lambda: online.sample(256), repeats), 1e3, "ms", "200 000 stored"),
        _row("state sample(2048)", _median_s(lambda: online.sample(2048), repeats), 1e3, "ms", "target 0.4 ms"),
        _row("mixture next(2048)", _median_s(lambda: next(mixed), repeats), 1e3, "ms", "half demonstrations"),
    ]


def _pixel_rows(repeats: int) -> list[dict[str, Any]]:
    buffer = _filled(PIXELS, 2_000, seed=0)
    chunk = _batch(PIXELS, 30)
    single = map_leaves(lambda array: array[0], chunk)
    sharing = MemoryEfficientReplayBuffer(STACKED, ACTION, 2_000, ("front", "wrist"), seed=0)
    episode = itertools.cycle(_episode(200))
    for _ in range(2_000):
        sharing.insert(next(episode))
    packed = _median_s(lambda: sharing.sample(256, pack_obs_and_next_obs=True), repeats)
    return [
        _row("pixel insert", _median_s(lambda: buffer.insert(single), 10 * repeats), 1e6, "µs", "2 images 128×128"),
        _row("pixel extend(30)", _median_s(lambda: buffer.extend(chunk), repeats), 1e3, "ms", "2 images 128×128"),
        _row("pixel sample(256)", _median_s(lambda: buffer.sample(256), repeats), 1e3, "ms", "2 images 128×128"),
        _row("frames insert", _median_s(lambda: sharing.insert(next(episode)), repeats), 1e6, "µs", "each image once"),
        _row("frames sample(256)", _median_s(lambda: sharing.sample(256), repeats), 1e3, "ms", "each image once"),
        _row("frames sample(256) packed", packed, 1e3, "ms", "one run of stack + 1"),
    ]


def _journal_rows(repeats: int) -> list[dict[str, Any]]:
    rows = []
    with tempfile.TemporaryDirectory() as directory, TransitionJournal(Path(directory) / "journal") as journal:
        for size in (1, 30, 300):
            chunk, sequence, actor_id = _batch(STATE, size), itertools.count(0, size), f"chunks of {size}"
            seconds = _median_s(
                lambda c=chunk, s=sequence, a=actor_id: journal.append(a, next(s), c),  # type: ignore[misc]
                repeats,
            )
            note = f"{seconds * 1e3:.2f} ms an append, each flushed to the disk"
            rows.append(
                {"name": f"journal, {actor_id}", "value": size / seconds, "unit": "transitions/s", "note": note}
            )
        began = time.perf_counter()
        count = sum(len(batch["rewards"]) for _, batch in journal.read())
        rate = count / (time.perf_counter() - began)
    return [*rows, {"name": "journal, read back", "value": rate, "unit": "transitions/s", "note": f"{count} stored"}]


def _filled(space: gym.Space[Any], count: int, *, seed: int) -> ReplayBuffer:
    buffer = ReplayBuffer(space, ACTION, count, seed=seed)
    while len(buffer) < count:
        buffer.extend(_batch(space, min(1000, count - len(buffer))))
    return buffer


def _batch(space: gym.Space[Any], count: int) -> dict[str, Any]:
    generator = np.random.default_rng(0)
    return {
        "observations": _noise(space, count, generator),
        "next_observations": _noise(space, count, generator),
        "actions": _noise(ACTION, count, generator),
        **{name: np.ones(count, np.float32) for name in ("rewards", "masks", "dones")},
    }


def _episode(length: int) -> list[dict[str, Any]]:
    """Transitions of one episode: each next observation is the following observation."""
    frames = _noise(STACKED, length + 1, np.random.default_rng(0))
    batch = _batch(STATE, length) | {
        "observations": {name: images[:-1] for name, images in frames.items()},
        "next_observations": {name: images[1:] for name, images in frames.items()},
    }
    return [map_leaves(lambda array, row=row: array[row], batch) for row in range(length)]


def _noise(space: gym.Space[Any], count: int, generator: np.random.Generator) -> Any:
    if isinstance(space, gym.spaces.Dict):
        return {name: _noise(inner, count, generator) for name, inner in space.spaces.items()}
    assert space.shape is not None
    if space.dtype == np.uint8:
        return generator.integers(0, 256, (count, *space.shape), np.uint8)
    return generator.random((count, *space.shape), np.float32)


def _median_s(action: Callable[[], Any], repeats: int) -> float:
    action()
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - began)
    return float(np.median(seconds))


def _row(name: str, seconds: float, scale: float, unit: str, note: str) -> dict[str, Any]:
    return {"name": name, "value": seconds * scale, "unit": unit, "note": note}
