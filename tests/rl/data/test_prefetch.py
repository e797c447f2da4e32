"""Laws of the prefetcher: same batches, same order, errors arrive, and a saved position is the consumer's."""

import itertools
import threading

import numpy as np
import pytest
import torch

from rl.data.mixture import MixedBatches
from rl.data.prefetch import Prefetch, to_tensors
from rl.data.replay_buffer import ReplayBuffer
from rl.errors import CheckpointError, DataError
from tests.rl.data.transitions import ACTIONS, IMAGES, numbered_images


def mixture(seed=5):
    buffers = []
    for number in range(2):
        buffers.append(ReplayBuffer(IMAGES, ACTIONS, 40, seed=seed + number))
        buffers[-1].extend(numbered_images(100 * number, 40))
    return MixedBatches([(buffers[0], 0.5), (buffers[1], 0.5)], 8)


class Counter:
    """A source that breaks after three batches."""

    def __init__(self):
        self.drawn = 0

    def __next__(self):
        if self.drawn == 3:
            raise DataError("the source broke")
        self.drawn += 1
        return {"rewards": np.full(2, self.drawn, np.float32)}

    def state_dict(self):
        return self.drawn


def test_batches_are_those_of_the_source_in_order():
    plain = mixture()
    with Prefetch(mixture()) as batches:
        for batch in itertools.islice(batches, 10):
            expected = next(plain)
            assert isinstance(batch["observations"]["pix"], torch.Tensor)
            np.testing.assert_array_equal(batch["observations"]["pix"].numpy(), expected["observations"]["pix"])
            np.testing.assert_array_equal(batch["rewards"].numpy(), expected["rewards"])


def test_a_resumed_run_sees_the_batches_that_the_first_one_had_not_seen():
    with Prefetch(mixture()) as batches:
        for _ in range(4):
            next(batches)
        state = batches.state_dict()
        expected = [next(batches)["rewards"] for _ in range(3)]
    resumed = mixture(seed=77)
    resumed.load_state_dict(state)
    with Prefetch(resumed) as batches:
        for rewards in expected:
            torch.testing.assert_close(next(batches)["rewards"], rewards, rtol=0, atol=0)
    with pytest.raises(CheckpointError):
        resumed.load_state_dict(state[:1])


def test_an_error_of_the_source_comes_after_its_last_batch():
    with Prefetch(Counter()) as batches:
        assert [next(batches)["rewards"][0].item() for _ in range(3)] == [1, 2, 3]
        for _ in range(2):
            with pytest.raises(DataError, match="broke"):
                next(batches)


def test_never_more_than_depth_ahead_and_closing_ends_the_thread():
    source = Counter()
    batches = Prefetch(source, depth=2)
    next(batches)
    threading.Event().wait(0.1)
    assert source.drawn <= 3
    batches.close()
    assert not any(thread.name == "prefetch" for thread in threading.enumerate())
    with pytest.raises(DataError, match="closed"):
        next(batches)


def test_on_the_way_to_a_gpu_arrays_are_pinned_and_nobody_waits_for_the_copy(monkeypatch):
    way = []

    def pin_memory(tensor):
        way.append("pinned")
        return tensor

    def to(tensor, device, non_blocking=False):
        way.append((device.type, non_blocking))
        return tensor

    monkeypatch.setattr(torch.Tensor, "pin_memory", pin_memory)
    monkeypatch.setattr(torch.Tensor, "to", to)
    batch = to_tensors({"observations": {"state": np.arange(3)}}, torch.device("cuda"))
    assert way == ["pinned", ("cuda", True)]
    assert batch["observations"]["state"].tolist() == [0, 1, 2]


@pytest.mark.gpu
def test_batches_arrive_on_the_device():
    with Prefetch(mixture(), device="cuda") as batches:
        assert next(batches)["observations"]["pix"].is_cuda
