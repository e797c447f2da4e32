"""Laws of the mixture: the shares hold in the batch and in every contiguous part of it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rl.data.mixture import MixedBatches, interleave
from rl.data.replay_buffer import ReplayBuffer
from rl.data.schema import SCALAR
from rl.errors import ConfigError, SchemaMismatch
from rl.utils.train_utils import concat_batches
from tests.rl.data.transitions import ACTIONS, OBSERVATIONS, numbered


def buffer(start, seed, **options):
    made = ReplayBuffer(OBSERVATIONS, ACTIONS, 50, seed=seed, **options)
    made.extend(numbered(start, 50) | {name: np.zeros(50, np.float32) for name in options.get("extras", {})})
    return made


@given(st.lists(st.floats(0.05, 1.0), min_size=1, max_size=3), st.integers(20, 120))
def test_every_contiguous_part_holds_every_share(weights, length):
    shares = np.array(weights) / sum(weights)
    owners = interleave(shares, length)
    for owner, share in enumerate(shares):
        ahead = np.concatenate([[0.0], np.cumsum((owners == owner) - share)])
        assert ahead.max() - ahead.min() < 2


def test_every_minibatch_of_a_split_is_half_demonstrations():
    """S17: the original put the demonstrations of a batch into minibatches of their own."""
    batch = next(MixedBatches([(buffer(0, 0), 0.5), (buffer(1000, 1), 0.5)], 64))
    for part in np.split(batch["rewards"], 8):
        assert (part >= 1000).sum() == 4
    np.testing.assert_array_equal(batch["observations"][:, 0], batch["rewards"])
    np.testing.assert_array_equal(batch["next_observations"][:, 0], batch["rewards"] + 1)


def test_equal_seeds_give_equal_batches():
    def rewards(count):
        batches = MixedBatches([(buffer(0, 3), 0.7), (buffer(1000, 4), 0.3)], 40)
        return [next(batches)["rewards"].tolist() for _ in range(count)]

    assert rewards(3) == rewards(3)


def test_one_source_is_a_mixture_too():
    np.testing.assert_array_equal(
        next(MixedBatches([(buffer(0, 3), 1.0)], 9))["rewards"], buffer(0, 3).sample(9)["rewards"]
    )


def test_impossible_mixtures_are_refused():
    for shares in ([], [0.5], [0.5, 0.6], [1.5, -0.5]):
        with pytest.raises(ConfigError, match="sum to 1"):
            MixedBatches([(buffer(0, 0), share) for share in shares], 8)
    with pytest.raises(ConfigError, match="too small"):
        MixedBatches([(buffer(0, 0), 0.99), (buffer(0, 0), 0.01)], 8)
    with pytest.raises(SchemaMismatch, match="penalty"):
        next(MixedBatches([(buffer(0, 0), 0.5), (buffer(0, 0, extras={"penalty": SCALAR}), 0.5)], 8))


def test_concat_batches_puts_the_first_first():
    joined = concat_batches(numbered(0, 3), numbered(3, 2))
    np.testing.assert_array_equal(joined["rewards"], np.arange(5))
    with pytest.raises(SchemaMismatch):
        concat_batches(numbered(0, 3), {"rewards": np.zeros(2)})
