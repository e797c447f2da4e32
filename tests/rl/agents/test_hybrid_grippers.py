"""Laws of the layout of grippers in an action (H6: no length is hard-coded)."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rl.agents.continuous.sac_hybrid_grippers import GripperLayout
from rl.errors import ConfigError

layouts = st.builds(lambda arms, own: GripperLayout(arms * own, arms), st.integers(1, 3), st.integers(2, 8))


@given(layouts, st.integers(0, 2**31))
def test_an_action_is_its_continuous_part_and_its_label(layout, seed):
    actions = torch.rand(7, layout.action_dim, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    labels = layout.labels(actions)
    joined = layout.join(layout.continuous(actions), labels)
    width = layout.action_dim // layout.arms
    grippers = [width * (arm + 1) - 1 for arm in range(layout.arms)]
    rounded = actions.clone()
    rounded[:, grippers] = actions[:, grippers].round()
    assert torch.equal(joined, rounded)
    assert torch.equal(layout.labels(joined), labels)
    assert torch.equal(layout.moves(actions), joined[:, grippers])
    assert layout.continuous(actions).shape == (7, layout.continuous_dim)


@given(layouts)
def test_labels_count_every_joint_move_once(layout):
    every = torch.arange(layout.choices)
    moves = layout.moves_of(every)
    assert {tuple(row) for row in moves.tolist()} == set(itertools.product((-1.0, 0.0, 1.0), repeat=layout.arms))
    actions = layout.join(torch.zeros(layout.choices, layout.continuous_dim), every)
    assert torch.equal(layout.labels(actions), every)


@pytest.mark.parametrize("action_dim", [2, 4, 7])
def test_one_arms_label_is_the_last_number_rounded_plus_one(action_dim):
    last = torch.tensor([-1.0, -0.93, -0.51, -0.4, 0.0, 0.4, 0.51, 0.98, 1.0])
    actions = torch.cat((torch.rand(9, action_dim - 1), last[:, None]), 1)
    labels = GripperLayout(action_dim, 1).labels(actions)
    assert labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert labels.dtype == torch.int64


def test_two_arms_labels_have_the_first_gripper_as_the_higher_digit():
    action = torch.tensor([0.1] * 6 + [1.0] + [0.2] * 6 + [-1.0])
    layout = GripperLayout(14, 2)
    assert int(layout.labels(action)) == 2 * 3 + 0
    torch.testing.assert_close(layout.continuous(action), torch.tensor([0.1] * 6 + [0.2] * 6))
    assert layout.choices == 9
    assert layout.continuous_dim == 12


def test_numbers_beyond_the_bounds_count_as_the_bounds():
    assert GripperLayout(2, 1).labels(torch.tensor([[0.0, -3.0], [0.0, 2.0]])).tolist() == [0, 2]


@pytest.mark.parametrize(("action_dim", "arms"), [(7, 2), (1, 1), (2, 2), (0, 1)])
def test_actions_that_do_not_divide_are_refused(action_dim, arms):
    with pytest.raises(ConfigError, match=f"length {action_dim} is not that of {arms} arm"):
        GripperLayout(action_dim, arms)
