"""Laws of random masks."""

import pytest
import torch
from torch import Generator

from rl.vision.sampling import draw_kept

CPU = torch.device("cpu")


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_features_are_dropped_with_the_chance_that_was_asked_for_each_on_its_own(rate):
    count = 4_000_000
    kept = draw_kept((2, count // 2), rate, Generator().manual_seed(0), CPU).float().flatten()
    spread = (rate * (1 - rate) / count) ** 0.5
    assert abs(1 - kept.mean() - rate) < 4 * spread + 2**-17
    for lag in (1, 2, 3, 4, 8):  # four features share one draw
        together = ((1 - kept[lag:]) * (1 - kept[:-lag])).mean()
        assert abs(together - rate**2) < 8 * spread * rate


def test_masks_of_any_shape_follow_from_the_generator():
    for shape in ((3,), (2, 5), (3, 1, 7), (0, 4)):
        one, other = (draw_kept(shape, 0.3, Generator().manual_seed(1), CPU) for _ in range(2))
        assert (one.shape, one.dtype) == (shape, torch.bool)
        assert torch.equal(one, other)


def test_at_a_rate_of_zero_everything_is_kept():
    assert draw_kept((100_000,), 0.0, Generator().manual_seed(0), CPU).all()
