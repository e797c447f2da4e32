"""The adapters of the buffers take sizes and seeds from the recording, so that other ones than the stored match too."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.golden.adapters_buffers import check_replay_buffer
from tests.golden.serl import Fixture


def ring(capacity: int, seed: int, rows: int, count: int) -> Fixture:
    """A recording of the original's ring, by its definition: row i is stored at i modulo the capacity."""
    rng = np.random.default_rng(3)
    batch: dict[str, Any] = {
        "observations": rng.normal(size=(rows, 4)).astype(np.float32),
        "next_observations": rng.normal(size=(rows, 4)).astype(np.float32),
        "actions": rng.normal(size=(rows, 3)).astype(np.float32),
        "rewards": np.arange(rows, dtype=np.float32),
        "masks": np.ones(rows, np.float32),
        "dones": np.zeros(rows, bool),
    }
    newest = np.array([max(row for row in range(rows) if row % capacity == place) for place in range(capacity)])
    drawn = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed))).integers(capacity, size=count)
    fixture = Fixture({"name": "held_out", "ctor": f"capacity {capacity}, obs (4,), act (3,)"})
    fixture.__dict__["arrays"] = {
        **{f"in/{name}": array for name, array in batch.items()},
        **{f"out/storage/{name}": array[newest] for name, array in batch.items()},
        "out/len": np.minimum(np.arange(rows) + 1, capacity),
        "out/insert_index": (np.arange(rows) + 1) % capacity,
        f"out/sample_seed{seed}_{count}": newest[drawn].astype(np.float32),
    }
    return fixture


@pytest.mark.parametrize(("capacity", "seed", "rows", "count"), [(5, 11, 13, 9), (12, 7, 29, 16), (31, 0, 40, 64)])
def test_a_ring_of_any_size_and_seed_is_compared(capacity: int, seed: int, rows: int, count: int):
    check_replay_buffer(ring(capacity, seed, rows, count))


def test_a_capacity_that_is_not_the_recorded_one_is_found():
    fixture = ring(5, 11, 13, 9)
    fixture.entry["ctor"] = "capacity 6, obs (4,), act (3,)"
    with pytest.raises(AssertionError):
        check_replay_buffer(fixture)
