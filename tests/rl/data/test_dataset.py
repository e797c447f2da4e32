"""Laws of datasets: splits partition, filters keep whole trajectories, scaling spans what was asked."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rl.data.dataset import Dataset
from rl.errors import ConfigError, DataError, SchemaMismatch
from tests.rl.data.transitions import assert_same, numbered, numbered_images


def trajectories(*lengths_and_returns):
    """Trajectories of given lengths, whose reward is all in the last step."""
    batch = numbered(0, sum(length for length, _ in lengths_and_returns))
    batch["rewards"] = np.zeros_like(batch["rewards"])
    end = 0
    for length, total in lengths_and_returns:
        end += length
        batch["rewards"][end - 1] = total
        batch["dones"][end - 1] = 1
    return Dataset(batch, seed=0)


@given(st.integers(2, 60), st.floats(0.01, 0.99))
def test_a_split_partitions(length, ratio):
    first, second = Dataset(numbered(0, length), seed=1).split(ratio)
    assert len(first) == int(length * ratio)
    joined = np.concatenate([first.data["rewards"], second.data["rewards"]])
    np.testing.assert_array_equal(np.sort(joined), np.arange(length))


def test_samples_follow_indices_and_keys():
    dataset = Dataset(numbered_images(0, 6), seed=0)
    assert_same(dataset.sample(6, indices=np.arange(6)), numbered_images(0, 6))
    assert dataset.sample(4, keys=("rewards", "observations")).keys() == {"rewards", "observations"}
    counts = np.bincount(dataset.sample(60_000, keys=("rewards",))["rewards"].astype(int))
    assert ((counts - 10_000) ** 2 / 10_000).sum() < 25.7  # chi-squared, 5 degrees of freedom, p = 1e-4


def test_filters_keep_whole_trajectories():
    dataset = trajectories((3, 1.0), (2, 5.0), (4, 3.0))
    np.testing.assert_array_equal(dataset.filter(threshold=3.0).data["observations"][:, 0], [3, 4, 5, 6, 7, 8])
    np.testing.assert_array_equal(dataset.filter(take_top=10).data["observations"][:, 0], [3, 4])
    assert len(dataset.filter(take_top=100)) == 9


def test_normalised_returns_span_the_scaling():
    scaled = trajectories((3, 1.0), (2, 5.0), (4, 3.0)).normalize_returns(scaling=100.0)
    np.testing.assert_allclose(scaled.data["rewards"][[2, 4, 8]], [25, 125, 75], rtol=1e-6)
    with pytest.raises(DataError, match="nothing to normalise"):
        trajectories((3, 1.0), (2, 1.0)).normalize_returns()


def test_impossible_requests():
    dataset = trajectories((3, 1.0))
    for ratio in (0.0, 1.0):
        with pytest.raises(ConfigError):
            dataset.split(ratio)
    for options in ({}, {"take_top": 1.0, "threshold": 1.0}):
        with pytest.raises(ConfigError, match="exactly one"):
            dataset.filter(**options)
    images = Dataset(numbered_images(0, 2), seed=0)
    has = re.escape(f"has no field ['labels']; it has {sorted(images.data)}")
    with pytest.raises(DataError, match=has):
        images.sample(1, keys=("rewards", "labels"))
    with pytest.raises(DataError, match="must be 1 integers"):
        dataset.sample(1, indices=np.zeros(2, int))
    with pytest.raises(DataError, match="nothing is stored"):
        dataset.filter(threshold=9.0).sample(1)
    with pytest.raises(SchemaMismatch):
        Dataset({"a": np.zeros(2), "b": np.zeros(3)}, seed=0)
