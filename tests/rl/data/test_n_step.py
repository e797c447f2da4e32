"""Laws of n-step transitions, held against a brute-force sum."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rl.data.n_step import NStep
from rl.errors import ConfigError
from rl.utils.tree import stack
from tests.rl.data.transitions import assert_same, numbered, row

DISCOUNT = 0.9
endings = st.lists(st.sampled_from(["", "", "", "terminated", "truncated"]), min_size=1, max_size=30)


def stream(ends):
    batch = numbered(0, len(ends))
    batch["masks"] = np.array([float(end != "terminated") for end in ends], np.float32)
    batch["dones"] = np.array([float(end != "") for end in ends], np.float32)
    batch["is_intervention"] = np.arange(len(ends), dtype=np.float32) % 3
    batch["grasp_penalty"] = -(np.arange(len(ends), dtype=np.float32) % 4)
    return batch


def brute_force(batch, n):
    """One transition after the other, by the definition; the stream is cut after its last step."""
    result = []
    length = len(batch["rewards"])
    for start in range(length):
        single = row(batch, start)
        total, penalty, step = 0.0, 0.0, start
        while True:
            total += DISCOUNT ** (step - start) * float(batch["rewards"][step])
            penalty += DISCOUNT ** (step - start) * float(batch["grasp_penalty"][step])
            if batch["dones"][step] or step - start == n - 1 or step == length - 1:
                break
            step += 1
        single["rewards"] = np.float32(total)
        single["grasp_penalty"] = np.float32(penalty)
        single["masks"] = np.float32(DISCOUNT ** (step - start) * batch["masks"][step])
        single["dones"] = batch["dones"][step]
        single["next_observations"] = batch["next_observations"][step]
        result.append(single)
    return stack(result)


def run(batch, n, cuts):
    transform = NStep(n, DISCOUNT)
    length = len(batch["rewards"])
    edges = sorted({0, length, *(cut % length for cut in cuts)})
    parts = [
        transform.push({name: value[start:end] for name, value in batch.items()})
        for start, end in itertools.pairwise(edges)
    ]
    parts.append(transform.flush())
    parts = [part for part in parts if part]
    return {name: np.concatenate([part[name] for part in parts]) for name in batch}


@settings(deadline=None)
@given(endings, st.integers(1, 5), st.lists(st.integers(0, 100), max_size=5))
def test_agrees_with_brute_force_however_the_stream_is_cut(ends, n, cuts):
    """L4: grasp penalties are summed as rewards are; every other field is that of the first step."""
    batch = stream(ends)
    result = run(batch, n, cuts)
    expected = brute_force(batch, n)
    for name in batch:
        np.testing.assert_allclose(result[name], expected[name], rtol=1e-6, err_msg=name)


@given(endings)
def test_one_step_changes_nothing(ends):
    batch = stream(ends)
    assert_same(NStep(1, DISCOUNT).push(batch), batch)


@given(st.integers(1, 12), st.integers(1, 5), st.sampled_from(["terminated", "truncated"]))
def test_the_bootstrapped_value_is_that_of_one_step_targets(length, n, ending):
    """With the true values of the stream as critic, n-step and 1-step targets agree, whatever the ending."""
    batch = stream([""] * (length - 1) + [ending])
    values = np.zeros(length + 1)
    values[length] = 17.0
    for step in reversed(range(length)):
        values[step] = batch["rewards"][step] + DISCOUNT * batch["masks"][step] * values[step + 1]
    result = NStep(n, DISCOUNT).push(batch)
    next_values = values[result["next_observations"][:, 0].astype(int)]
    targets = result["rewards"] + DISCOUNT * result["masks"] * next_values
    np.testing.assert_allclose(targets, values[:length], rtol=1e-5)


def test_an_episode_end_leaves_nothing_waiting():
    transform = NStep(3, DISCOUNT)
    assert len(transform.push(stream(["", "", "truncated"]))["rewards"]) == 3
    assert transform.flush() == {}


def test_impossible_settings_are_refused():
    for n, discount in ((0, 0.9), (1, 1.5), (2, -0.1)):
        with pytest.raises(ConfigError):
            NStep(n, discount)


def test_a_termination_ends_the_sum_even_where_the_stream_does_not_mark_it():
    batch = stream(["", "terminated", "", "truncated"])
    batch["dones"][1] = 0
    np.testing.assert_allclose(NStep(3, DISCOUNT).push(batch)["rewards"], [0.9, 1, 2 + 0.9 * 3, 3], rtol=1e-6)


@given(endings, st.integers(1, 5), st.floats(-2.0, 2.0))
def test_l3_an_agent_that_adds_its_bias_once_to_a_sum_has_added_it_to_every_reward(ends, n, bias):
    batch = stream(ends)
    biased = {**batch, "rewards": batch["rewards"] + np.float32(bias)}
    ours, expected = NStep(n, DISCOUNT, reward_bias=bias), NStep(n, DISCOUNT)
    for mine, theirs in ((ours.push(batch), expected.push(biased)), (ours.flush(), expected.flush())):
        if theirs:
            np.testing.assert_allclose(mine["rewards"] + bias, theirs["rewards"], rtol=1e-5, atol=1e-5)
            np.testing.assert_array_equal(mine["grasp_penalty"], theirs["grasp_penalty"])
