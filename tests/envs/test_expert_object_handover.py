"""What each arm's script of the handover does next, by where the bar and the other arm's fingers are."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from envs.experts.object_handover import FINGERS, HandoverExpert
from tests.envs.cells import made
from tests.envs.test_task_object_handover import ID, cells

OPEN, CLOSE, LEAVE = 1.0, -1.0, 0.0
AWAY_M = (5.0, 5.0, 5.0)


class Scene:
    """A script of one arm that is shown what a test says instead of its cell."""

    def __init__(self, env, role):
        arm = {"taker": "left", "giver": "right"}[role]
        self.expert = HandoverExpert(env.unwrapped.arms[arm])
        self.strategy, self.task = self.expert.strategy, self.expert._task
        self.seen = cells(env)[("left", "right").index(arm)].get_state()
        self.expert._workcell = SimpleNamespace(get_state=lambda: self.seen)
        self.expert.reset(None)

    def look(self, *, tool_m=None, bar_m=None, fingers_m=None, gap_m=0.2, opened=None):
        state = self.seen
        poses = dict(state.poses)
        if bar_m is not None:
            poses["object"] = moved(poses["object"], bar_m)
        if fingers_m is not None:
            half_m = np.array((gap_m / 2, 0.0, 0.0))
            poses |= {name: moved(poses[name], np.array(fingers_m) + way)
                      for name, way in zip(FINGERS, (half_m, -half_m), strict=True)}  # fmt: skip
        robot, gripper = state.robot, state.gripper
        if tool_m is not None:
            robot = with_changes(robot, tcp_pose_in_base=np.append(tool_m, robot.tcp_pose_in_base[3:]))
        if opened is not None:
            gripper = with_changes(gripper, position=opened)
        self.seen = with_changes(state, robot=robot, gripper=gripper, poses=poses)

    def act(self, **changed):
        self.look(**changed)
        action = self.expert.act(None)
        assert action[3:5].tolist() == [0.0, 0.0]  # the tool never tips
        return action[:3], action[6]

    def grip(self):
        """Stand at the bar's end until the fingers have closed."""
        way = self.task.tcp_to_grip(self.seen)
        self.look(tool_m=self.seen.robot.tcp_pose_in_base[:3] + way[:3])
        self.expert._closing_steps = 1
        for _ in range(self.strategy.close_steps - 1):
            move, fingers = self.act()
            assert (move.tolist(), fingers) == ([0.0] * 3, CLOSE)

    def lift(self, way_m):
        """Move tool and bar together, as where the bar is held."""
        way_m = np.array(way_m)
        tool_m, bar_m = self.seen.robot.tcp_pose_in_base[:3], self.seen.poses["object"].pose_in_base[:3]
        self.look(tool_m=tool_m + way_m, bar_m=bar_m + way_m)


def with_changes(message, **changes):
    return message.model_copy(update=changes)


def moved(tracked, place_m):
    return with_changes(tracked, pose_in_base=np.append(place_m, tracked.pose_in_base[3:]))


def beside(place_m, beside_m):
    return place_m + np.array((0.0, beside_m, 0.0))


@pytest.fixture(scope="module")
def env():
    with made(ID) as env:
        env.reset(seed=0)
        yield env


def test_the_giver_lifts_the_bar_straight_up_before_it_goes_to_where_the_arms_meet(env):
    scene = Scene(env, "giver")
    scene.look(fingers_m=AWAY_M)
    scene.grip()
    move, fingers = scene.act()
    assert move[:2].tolist() == [0.0, 0.0]
    assert (move[2] > 0.0, fingers) == (True, LEAVE)
    scene.lift((0.0, 0.0, scene.strategy.lift_m + 0.001 - scene.seen.robot.tcp_pose_in_base[2]))
    move, fingers = scene.act()
    way_m = scene.strategy.meeting_m - scene.seen.robot.tcp_pose_in_base[:3]
    expected = np.clip(way_m / scene.task.config.translation_scale_m * scene.strategy.gain, -1.0, 1.0)
    np.testing.assert_allclose(move, expected, rtol=1e-6)
    assert fingers == LEAVE


@pytest.mark.parametrize(("beside_m", "gap_m", "lets_go"), [(0.0, 0.05, True), (0.0, 0.09, False), (0.2, 0.05, False)])
def test_the_giver_lets_go_when_the_other_fingers_have_closed_on_the_bar_and_not_before(env, beside_m, gap_m, lets_go):
    scene = Scene(env, "giver")
    scene.look(fingers_m=AWAY_M)
    scene.grip()
    bar_m = scene.seen.poses["object"].pose_in_base[:3]
    move, fingers = scene.act(fingers_m=beside(bar_m, beside_m), gap_m=gap_m)
    assert fingers == (OPEN if lets_go else LEAVE)
    if lets_go:
        move, fingers = scene.act(opened=0.0)
        assert (move.tolist(), fingers) == ([0.0] * 3, OPEN)
        move, fingers = scene.act(opened=1.0)
        assert (move[:2].tolist(), move[2] > 0.0, fingers) == ([0.0, 0.0], True, OPEN)
        scene.look(tool_m=np.array((0.6, 0.1, bar_m[2] + scene.strategy.above_m + 0.01)))
        move, fingers = scene.act()
        home_m = scene.task.config.start[:3] - (0.08, 0.0, 0.0)
        way_m = home_m - scene.seen.robot.tcp_pose_in_base[:3]
        expected = np.clip(way_m / scene.task.config.translation_scale_m * scene.strategy.gain, -1.0, 1.0)
        np.testing.assert_allclose(move, expected, rtol=1e-6)


def test_a_giver_that_lost_the_bar_opens_and_fetches_it_again(env):
    scene = Scene(env, "giver")
    scene.look(fingers_m=AWAY_M)
    scene.grip()
    bar_m = scene.seen.poses["object"].pose_in_base[:3]
    _, fingers = scene.act(bar_m=bar_m - (0.0, scene.strategy.lost_m * 2, 0.0))
    assert fingers == OPEN
    for _ in range(2):
        assert scene.act(bar_m=bar_m)[1] in (OPEN, CLOSE)  # it comes to it again, and grips


def test_the_taker_waits_until_the_bar_is_held_up_and_still(env):
    scene = Scene(env, "taker")
    held_m = np.array((*scene.strategy.meeting_m[:2], scene.strategy.lift_m + 0.05))
    lying_m = held_m * (1.0, 1.0, 0.0)
    scene.act(bar_m=lying_m)
    for bar_m, waits in ((lying_m, True), (held_m, True), (held_m, False), (beside(held_m, 0.01), True)):
        move, fingers = scene.act(bar_m=bar_m)
        assert fingers == OPEN
        assert (move.tolist() == [0.0] * 3) is waits


def test_the_taker_keeps_the_bar_until_the_other_fingers_have_left_it(env):
    scene = Scene(env, "taker")
    held_m = np.array((*scene.strategy.meeting_m[:2], scene.strategy.lift_m + 0.05))
    scene.look(bar_m=held_m, fingers_m=held_m)
    scene.grip()
    for beside_m, fingers in (
        (0.0, CLOSE),
        (scene.strategy.away_m - 0.01, CLOSE),
        (scene.strategy.away_m + 0.01, LEAVE),
    ):
        assert scene.act(fingers_m=beside(held_m, beside_m))[1] == fingers
    way_m = scene.task.object_to_goal(scene.seen)
    way_m[2] = 0.0
    scene.look(fingers_m=AWAY_M)
    scene.lift(way_m)
    tool_m = scene.seen.robot.tcp_pose_in_base[:3]
    move, fingers = scene.act()
    np.testing.assert_allclose(move[:2], 0.0, atol=1e-6)
    assert np.sign(move[2]) == np.sign(scene.strategy.release_m - tool_m[2])
    assert fingers == LEAVE
    scene.lift((0.0, 0.0, scene.strategy.release_m - tool_m[2]))
    assert scene.act()[1] == OPEN
