"""Chunks that are joined before they are stored: each transition once and in order, and every border stays one."""

from __future__ import annotations

import numpy as np

from rl.link.frames import Chunk, merge


def chunk(first: int, count: int, *, follows_gap: bool = False) -> Chunk:
    """Transitions whose rewards are their numbers."""
    return Chunk(first, {"rewards": np.arange(first, first + count, dtype=np.float32)}, follows_gap)


def test_neighbours_are_joined_and_a_gap_or_a_jump_stays_a_border():
    chunks = [
        chunk(3, 2), chunk(5, 1), chunk(6, 1),
        chunk(7, 2, follows_gap=True), chunk(9, 1),
        chunk(20, 1), chunk(21, 3),
    ]  # fmt: skip
    merged = merge(chunks)
    assert [(one.first_sequence, len(one), one.follows_gap) for one in merged] == [
        (3, 4, False), (7, 3, True), (20, 4, False),
    ]  # fmt: skip
    for one in merged:
        np.testing.assert_array_equal(one.transitions["rewards"], one.first_sequence + np.arange(len(one)))


def test_nothing_is_nothing_and_a_chunk_alone_stays_as_it_is():
    assert merge([]) == []
    alone = chunk(3, 2)
    assert merge([alone])[0] is alone
