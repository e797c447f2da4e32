"""Where a frame is recognised and where it is forgotten: at each multiple of the epoch, whatever came before."""

from __future__ import annotations

import numpy as np
import pytest

from rl.data.frames import FrameStore
from rl.data.schema import Field


@pytest.mark.parametrize("batches", [[12], [1] * 12, [5, 2, 5]], ids=["at once", "one by one", "across the epoch"])
def test_a_picture_that_never_changes_is_stored_once_in_each_epoch(batches):
    store = FrameStore({"front": Field((2, 2, 3), np.dtype(np.uint8))}, capacity=40, most=2, epoch=4)
    numbers, user = [], 8
    for count in batches:
        same = np.full((count, 1, 2, 2, 3), 7, np.uint8)
        numbers += store.place([{"front": same}, {"front": same}], user).ravel().tolist()
        user += count
    assert numbers == [0] * 8 + [1] * 8 + [2] * 8
    assert store.written == 3
    np.testing.assert_array_equal(store.read(np.array([0, 1, 2]))["front"], np.full((3, 2, 2, 3), 7))
