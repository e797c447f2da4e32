"""Laws of pruning: after it a journal holds what it was told to keep, each row as it was, and no other image."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rl.data.pruning
from rl.data.journal import TransitionJournal
from rl.data.pruning import merged
from rl.data.sqlite_file import IN_MEMORY
from rl.errors import JournalError
from tests.rl.data.test_frame_table import episode, stored_images
from tests.rl.data.transitions import assert_same

RANGES = st.lists(st.tuples(st.integers(0, 24), st.integers(0, 24)), max_size=5)


def rows_of(ranges):
    return {row for start, stop in ranges for row in range(start, stop)}


@given(RANGES)
def test_merged_ranges_are_the_same_rows_in_order_and_as_few_as_can_be(ranges):
    found = merged(ranges)
    assert rows_of(found) == rows_of(ranges)
    assert all(start < stop for start, stop in found)
    assert all(one[1] < other[0] for one, other in itertools.pairwise(found))


@given(st.lists(st.integers(1, 4), min_size=1, max_size=8), st.integers(0, 24), RANGES, st.integers(1, 3))
def test_what_is_kept_stays_as_it_was_and_nothing_else(sizes, before, keep, at_once):
    total = sum(sizes)
    before = min(before, total)
    keep = [*keep, (total - 1, total)]  # the newest row tells where the actor goes on
    kept = sorted(row for row in range(total) if row >= before or row in rows_of(keep))
    with pytest.MonkeyPatch.context() as patch, TransitionJournal(IN_MEMORY) as journal:
        patch.setattr(rl.data.pruning, "_BLOCKS", at_once)
        patch.setattr(rl.data.pruning, "_FRAMES", at_once)
        first = 0
        for size in sizes:
            journal.append("arm", first, episode(first, size), {"block": first})
            first += size
        for _ in range(2):  # the second time nothing is left to do
            journal.forget(before, keep)
            assert (journal.begin, len(journal), journal.last_sequence("arm")) == (before, total, total - 1)
            blocks = list(journal.blocks())
            assert rows_of(journal.rows_before(before)) == {row for row in kept if row < before}
            assert [row for block in blocks for row in range(block.first_row, block.last_row)] == kept
            for block in blocks:
                start = block.first_row
                assert block.first_sequence == start
                assert_same(block.transitions, episode(start, block.last_row - start))
                is_begin = start in {0, *np.cumsum(sizes)}
                assert block.info == ({"block": start} if is_begin else None)
            assert stored_images(journal) == len({number for row in kept for number in (row, row + 1)})
        with pytest.raises(JournalError, match="can forget"):
            journal.forget(total + 1, [])
        for row in range(before, total):  # also where a block is read from its middle
            later = list(journal.blocks(row))
            assert later[0].first_sequence == row
            assert [number for block in later for number in block.transitions["rewards"]] == list(range(row, total))
