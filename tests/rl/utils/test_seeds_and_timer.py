"""Named generators are independent and repeatable; the timer refuses what it cannot measure."""

import numpy as np
import pytest
import torch

from rl.errors import ConfigError
from rl.utils.seeds import Seeds
from rl.utils.timer_utils import Timer


def test_a_name_and_a_seed_fix_the_draws():
    def draws(seed, name):
        return Seeds(seed).generator(name).integers(0, 2**32, size=4).tolist()

    assert draws(1, "replay") == draws(1, "replay")
    different = [draws(1, "replay"), draws(1, "actor"), draws(2, "replay"), draws(1, "replay2")]
    assert len({tuple(numbers) for numbers in different}) == 4


def test_torch_and_global_generators_follow_the_seed():
    first = torch.rand(3, generator=Seeds(4).torch_generator("noise"))
    torch.testing.assert_close(torch.rand(3, generator=Seeds(4).torch_generator("noise")), first, rtol=0, atol=0)
    Seeds(4).seed_globals()
    numbers = (np.random.random(), torch.rand(1).item())
    Seeds(4).seed_globals()
    assert numbers == (np.random.random(), torch.rand(1).item())


def test_times_are_averaged_and_reset():
    timer = Timer()
    for _ in range(2):
        with timer.context("step"):
            pass
    timer.tick("outer")
    assert timer.get_average_times(reset=False).keys() == {"step"}
    assert 0 <= timer.get_average_times()["step"] < 1
    timer.tock("outer")
    assert timer.get_average_times().keys() == {"outer"}


def test_double_ticks_and_lonely_tocks_raise():
    timer = Timer()
    with pytest.raises(ConfigError, match="tick it first"):
        timer.tock("step")
    timer.tick("step")
    with pytest.raises(ConfigError, match="runs already"):
        timer.tick("step")


def test_a_section_that_raises_is_still_measured():
    timer = Timer()
    with pytest.raises(KeyError), timer.context("step"):
        raise KeyError
    assert "step" in timer.get_average_times()
