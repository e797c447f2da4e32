"""Batches of recorded rows: what an epoch shows, whoever fetches it and however many processes share it."""

from itertools import chain

import numpy as np
import pytest
import torch

from rl.errors import ConfigError, DataError, SchemaMismatch
from rl.offline.rows import BalancedBatches, Rows, balanced_loader, shuffled_loader
from rl.utils.distributed import ProcessGroup

LABELS = np.array([1.0] * 10 + [0.0] * 45, np.float32)


def rows(count=24):
    return Rows({"a": np.arange(count), "b": {"c": np.arange(count) * 2.0}})


def epoch_of(loader, order, epoch):
    order.set_epoch(epoch)
    return [batch["a"].tolist() for batch in loader]


def test_an_epoch_shows_every_row_once_and_the_same_epoch_is_always_the_same():
    loader, order = shuffled_loader(rows(), 5, seed=3)
    first, second = epoch_of(loader, order, 0), epoch_of(loader, order, 1)
    assert sorted(chain(*first)) == sorted(chain(*second)) == list(range(24))
    assert first != second
    assert epoch_of(loader, order, 0) == first


def test_fields_stay_together():
    loader, _ = shuffled_loader(rows(), 7, seed=0)
    for batch in loader:
        torch.testing.assert_close(batch["b"]["c"], batch["a"] * 2.0, check_dtype=False)


def test_workers_fetch_what_the_process_itself_would():
    alone, order = shuffled_loader(rows(), 8, seed=1)
    helped, other = shuffled_loader(rows(), 8, seed=1, workers=1)
    assert epoch_of(alone, order, 4) == epoch_of(helped, other, 4)


@pytest.mark.parametrize("size", [2, 3])
def test_a_process_group_shards_the_batches_of_one_process(size):
    whole = epoch_of(*shuffled_loader(rows(), 6, seed=2), 5)
    shards = [epoch_of(*shuffled_loader(rows(), 6, seed=2, group=ProcessGroup(rank, size)), 5) for rank in range(size)]
    assert [set(batch) for batch in whole] == [set(chain(*parts)) for parts in zip(*shards, strict=True)]


def test_balanced_batches_are_half_positive_and_show_the_rarer_class_once():
    order = BalancedBatches(LABELS, 4, seed=0)
    epoch = list(order)
    assert len(epoch) == len(order) == 5
    assert all(LABELS[batch].tolist() == [1.0, 1.0, 0.0, 0.0] for batch in epoch)
    shown = list(chain(*epoch))
    assert sorted(row for row in shown if LABELS[row]) == list(range(10))
    assert len({row for row in shown if not LABELS[row]}) == 10


def test_the_last_batch_is_filled_up_without_showing_a_row_three_times():
    shown = list(chain(*BalancedBatches(np.array([1, 1, 1, 0, 0, 0]), 4, seed=0)))
    counts = [shown.count(row) for row in range(6)]
    assert len(shown) == 8
    assert sorted(counts[:3]) == sorted(counts[3:]) == [1, 1, 2]


def test_a_process_group_shards_balanced_batches():
    whole = list(BalancedBatches(LABELS, 8, seed=1))
    shards = [list(BalancedBatches(LABELS, 8, seed=1, group=ProcessGroup(rank, 2))) for rank in range(2)]
    assert [sorted(batch) for batch in whole] == [sorted(chain(*parts)) for parts in zip(*shards, strict=True)]


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(DataError, match="no positive frame"):
        balanced_loader(rows(), np.zeros(24), 8, seed=0)
    with pytest.raises(DataError, match="needs 2 rows or more"):
        BalancedBatches(LABELS, 1, seed=0)
    with pytest.raises(ConfigError, match="does not divide"):
        shuffled_loader(rows(), 5, seed=0, group=ProcessGroup(0, 2))
    with pytest.raises(DataError, match="no rows"):
        Rows({"a": np.zeros((0, 2))})
    with pytest.raises(SchemaMismatch, match="one length"):
        Rows({"a": np.zeros(2), "b": np.zeros(3)})
