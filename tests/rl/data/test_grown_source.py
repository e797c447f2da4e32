"""Laws of data that is kept beside data that grows: the draws of both go on after an interruption."""

from __future__ import annotations

from rl.data.grown_source import GrownSource
from rl.data.memory_efficient_replay_buffer import MemoryEfficientReplayBuffer
from rl.utils.tree import stack
from tests.rl.data.test_memory_efficient_replay_buffer import episode, make, shifting
from tests.rl.data.transitions import assert_same


def filled(start: int, seed: int) -> MemoryEfficientReplayBuffer:
    buffer = make(1, capacity=50, seed=seed, encoding=shifting())
    buffer.extend(stack(episode(1, 20, start)))
    return buffer


def source() -> GrownSource:
    return GrownSource(filled(0, 1), filled(100, 2), seed=3)


def test_the_variants_of_both_are_drawn_as_without_an_interruption():
    straight, resumed = source(), source()
    for _ in range(3):
        straight.sample(16)
    resumed.load_state_dict(straight.state_dict())
    for _ in range(3):
        assert_same(straight.sample(16), resumed.sample(16))


def test_a_checkpoint_without_the_draws_of_the_kept_data_is_still_read():
    one, other = source(), source()
    one.sample(16)
    state = {name: part for name, part in one.state_dict().items() if name != "kept"}
    other.load_state_dict(state)
    rewards = [made.sample(16)["rewards"].tolist() for made in (one, other)]
    assert rewards[0] == rewards[1]
