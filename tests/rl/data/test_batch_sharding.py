"""The shard of a batch that each process gets: an equal, mixed part of every minibatch, unchanged by packing."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from rl.data.batch_sharding import BatchSharding
from rl.data.mixture import interleave
from rl.data.packing import Packing
from rl.utils.tree import leaves

SHARDINGS = st.builds(BatchSharding, st.integers(1, 4), st.integers(1, 5))
ROWS = st.integers(1, 6)
"""Of one process in one minibatch."""


@given(SHARDINGS, ROWS)
def test_every_minibatch_is_shared_by_all_and_nothing_is_lost(sharding: BatchSharding, rows: int):
    size = sharding.processes * sharding.minibatches * rows
    batch = torch.arange(size)
    shards = torch.stack([sharding.shard(batch, rank) for rank in range(sharding.processes)])
    assert torch.equal(shards.flatten().sort().values, batch)
    # Row by row of `slices`: what the processes take together in one step of a high update ratio.
    slices = shards.unflatten(1, (sharding.minibatches, rows)).transpose(0, 1).flatten(1)
    assert torch.equal(slices, batch.view(sharding.minibatches, -1))


@given(SHARDINGS, st.integers(2, 40), st.floats(0.2, 0.8))
def test_what_a_process_gets_of_a_minibatch_is_mixed(sharding: BatchSharding, rows: int, share: float):
    """S17: neither a step nor a process sees one source alone."""
    owners = interleave(np.array([share, 1.0 - share]), sharding.processes * sharding.minibatches * rows)
    for rank in range(sharding.processes):
        shard = sharding.shard(torch.from_numpy(owners), rank).view(sharding.minibatches, rows)
        assert ((shard == 0).sum(1) - share * rows).abs().max() <= 2


FIELD = st.tuples(
    st.sampled_from([torch.uint8, torch.float16, torch.float32, torch.int64, torch.bool]),
    st.lists(st.integers(1, 3), max_size=3),
)


@given(SHARDINGS, ROWS, st.lists(FIELD, min_size=1, max_size=6))
def test_a_packed_shard_is_the_shard(sharding: BatchSharding, rows: int, fields: list[tuple[torch.dtype, list[int]]]):
    size = sharding.processes * sharding.minibatches * rows
    batch = {f"group {number % 2}": {} for number in range(len(fields))}
    for number, (dtype, shape) in enumerate(fields):
        numbers = torch.randint(0, 2 if dtype is torch.bool else 100, (size, *shape))
        batch[f"group {number % 2}"][f"field {number}"] = numbers.to(dtype)
    packing = Packing.of(batch, sharding)
    packed = packing.pack(batch, sharding)
    fields_bytes = sum(field.size for field in packing.fields)
    assert packing.size % 8 == 0  # so that the next shard's widest numbers are at multiples of their size, too
    assert fields_bytes <= packing.size < fields_bytes + 8
    for rank in range(sharding.processes):
        found = dict(leaves(Packing.from_json(packing.to_json()).unpack(packed[rank])))
        expected = dict(leaves(batch))
        assert found.keys() == expected.keys()
        for path, field in expected.items():
            assert found[path].dtype == field.dtype
            assert torch.equal(found[path], sharding.shard(field, rank))
