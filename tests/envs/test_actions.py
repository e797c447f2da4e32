"""Laws of `TargetDelta`."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from envs.tasks.pick_cube import TARGET_MAX_M, TARGET_MIN_M, pick_cube_actions
from robotkit import make_workcell

ACTIONS = arrays(np.float64, (6, 4), elements=st.floats(-3.0, 3.0))


@pytest.fixture(scope="module")
def start():
    with make_workcell("fake") as cell:
        return cell.reset()


def accept(state, command, gripper):
    """What a cell measures that took the command but did not move at all."""
    held = type(state.gripper).unchecked(**{**state.gripper.__dict__, "target_position": gripper.position})
    return type(state).unchecked(**{**state.__dict__, "accepted": command, "gripper": held})


@settings(max_examples=50, deadline=None)
@given(actions=ACTIONS)
def test_targets_add_up_inside_the_box_whatever_the_arm_measures(start, actions):
    action_map = pick_cube_actions()
    action_map.reset(start)
    position, opening = start.robot.tcp_pose_in_base[:3], 1.0
    for action in actions:
        command, gripper = action_map(action)
        action_map.follow(accept(start, command, gripper))
        clipped = np.clip(action, -1.0, 1.0)
        position = np.clip(position + clipped[:3] * 0.1, TARGET_MIN_M, TARGET_MAX_M)
        opening = np.clip(opening - clipped[3], 0.0, 1.0)
        assert np.array_equal(command.tcp_pose_in_base, (*position, 1.0, 0.0, 0.0, 0.0))
        assert gripper.position == opening


def test_what_was_accepted_is_where_the_next_target_starts(start):
    action_map = pick_cube_actions()
    action_map.reset(start)
    command, gripper = action_map(np.array((1.0, 0.0, 0.0, 0.0)))
    less = type(command)(tcp_pose_in_base=command.tcp_pose_in_base - (0.04, 0, 0, 0, 0, 0, 0))
    action_map.follow(accept(start, less, gripper))
    again, _ = action_map(np.zeros(4))
    assert np.array_equal(again.tcp_pose_in_base, less.tcp_pose_in_base)


def test_an_action_that_was_not_followed_changes_nothing(start):
    action_map = pick_cube_actions()
    action_map.reset(start)
    first, second = action_map(np.ones(4)), action_map(np.ones(4))
    assert first == second
