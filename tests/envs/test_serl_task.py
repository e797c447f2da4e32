"""Laws of `FrankaTask`: its reset, its judgement and its observation, in fake, simulated and hand-made real cells."""

from __future__ import annotations

from dataclasses import replace

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from envs import franka_env, make_vec
from envs.core import ManipulationEnv
from envs.images import ImageView
from envs.registration import make_env
from envs.tasks import PRECISION, FrankaTask, FrankaTaskConfig, franka_actions
from envs.tasks.reach_pose import REACH_POSE, REACH_POSE_VISION
from robotkit import InvalidConfiguration, MotionFailed, make_workcell, spatial
from robotkit.drivers.fake import ManualClock
from robotkit.schema import ComplianceParams, SafetyLimits, WorkspaceBox
from robotkit.workspace import is_inside
from tests.envs.cells import FAKE, MUJOCO, made

ID, VISION_ID = "FrankaReachPose-v0", "FrankaReachPoseVision-v0"
CELLS = [pytest.param({"cell": "fake"}, id="fake"), pytest.param(MUJOCO, id="mujoco")]
NOTHING = np.zeros(7, np.float32)
UNIT = arrays(np.float64, 3, elements=st.floats(-1.0, 1.0))


def env_in(cell, config=REACH_POSE, task=FrankaTask):
    return ManipulationEnv(cell, task(config), franka_actions(config))


def real_cell(clock=None, **overrides):
    """The fake devices as a real cell has them: nothing can be placed. Time is a counter, so that tests do not wait."""
    options = {"clock": "real", "world": None, "trackers": {}, "limits": SafetyLimits()} | overrides
    cell = make_workcell("fake", **options)
    clock = clock or ManualClock()
    cell.clock = clock
    for device in (cell.gripper, innermost(cell.robot), *cell.cameras.values()):
        device.context = replace(device.context, clock=clock)
    return cell


def innermost(robot):
    while hasattr(robot, "inner"):
        robot = robot.inner
    return robot


class Log:
    """What an arm was told, in order."""

    def __init__(self, cell):
        self.calls, self.poses = [], []
        arm = innermost(cell.robot)
        for name in ("send", "set_compliance", "move_to_joint_positions", "hold"):
            setattr(arm, name, self._noting(name, getattr(arm, name)))
        cell.robot = arm

    def _noting(self, name, method):
        def call(*arguments):
            if name == "send":
                self.poses.append(arguments[0].tcp_pose_in_base)
            note = arguments[0].translational_stiffness_n_m if name == "set_compliance" else name
            if not self.calls or self.calls[-1] != note:
                self.calls.append(note)
            return method(*arguments)

        return call


def go_to(env, observation, target, steps=60):
    """Steer to a pose by the env's own actions; the last step's result."""
    config = env.unwrapped.task.config
    for _ in range(steps):
        pose = observation["state"]["tcp_pose"].astype(np.float64)
        way = (target[:3] - pose[:3]) / config.translation_scale_m
        turn = spatial.rotation_vector_between(pose[3:] / np.linalg.norm(pose[3:]), target[3:])
        action = np.concatenate((way, turn / config.rotation_scale_rad, (0.0,)))
        observation, *rest = env.step(np.clip(action, -1, 1).astype(np.float32))
        if rest[1]:
            break
    return observation, *rest


# The fake camera's image counts time, and a reset takes some.
STANDSTILL = {"cell": "fake", "cell_overrides": {f"cameras.{name}.rate_hz": 1e-3 for name in ("front", "wrist")}}


@pytest.mark.parametrize("cell", [STANDSTILL, MUJOCO], ids=["fake", "mujoco"])
@pytest.mark.parametrize("id", [ID, VISION_ID])
def test_gymnasium_has_nothing_to_complain_of(id, cell):
    env = gymnasium.make(id, **cell)
    check_env(env.unwrapped)
    env.close()


@pytest.mark.parametrize("cell", CELLS)
def test_a_reset_arrives_and_the_pose_is_reached_by_actions(cell):
    with made(ID, **cell) as env:
        for seed in range(2):
            observation, info = env.reset(seed=seed)
            start, reset_pose = observation["state"]["tcp_pose"], REACH_POSE.start
            assert np.abs(start[:2] - reset_pose[:2]).max() <= 0.05 + REACH_POSE.arrival_tolerance_m
            assert abs(start[2] - reset_pose[2]) <= REACH_POSE.arrival_tolerance_m
            assert not info["success"]
            _, reward, terminated, truncated, info = go_to(env, observation, REACH_POSE.target)
            assert (reward, terminated, truncated, info["success"]) == (1.0, True, False, True)


def test_the_time_limit_truncates_and_never_terminates():
    """S18, H3: a time limit stored as an end tells the critic that running out of time is worth nothing."""
    with made(ID, cell="fake") as env:
        env.reset(seed=0)
        ends = [env.step(NOTHING)[2:4] for _ in range(100)]
    assert ends == [(False, False)] * 99 + [(False, True)]


@pytest.mark.parametrize("cell", CELLS)
def test_actions_of_zero_hold_the_start(cell):
    with made(ID, **cell) as env:
        first = env.reset(seed=0)[0]["state"]["tcp_pose"]
        last = [env.step(NOTHING)[0]["state"]["tcp_pose"] for _ in range(30)][-1]
    assert np.abs(last - first).max() < 2e-3


def test_starts_fill_the_range_and_come_from_the_seed():
    """S18: SERL's `RANDOM_RESET = (False,)` was true. Here a range of 0 is a range of 0."""
    with make_workcell("fake") as cell:
        task = FrankaTask(REACH_POSE)
        starts = np.array([task.start_pose(np.random.default_rng(seed), {}) for seed in range(200)])
        fixed = FrankaTask(replace(REACH_POSE, reset_xy_m=0.0, reset_rz_rad=0.0))
        assert np.allclose(fixed.start_pose(np.random.default_rng(0), {}), REACH_POSE.start)
        first = [env_in(cell).reset(seed=seed)[0]["state"]["tcp_pose"] for seed in (1, 1, 2)]
    spread = starts[:, :2] - REACH_POSE.start[:2]
    assert np.allclose(spread.min(0), -0.05, atol=0.005)
    assert np.allclose(spread.max(0), 0.05, atol=0.005)
    turns = [spatial.rotation_vector_between(REACH_POSE.start[3:], start[3:]) for start in starts]
    assert np.allclose(np.abs(turns).max(0), (0.0, 0.0, 0.2), atol=0.01)
    assert np.array_equal(first[0], first[1])
    assert not np.array_equal(first[0], first[2])


def test_a_real_cell_is_reset_by_moving_the_arm_alone():
    """Precision, up, (joints), start, compliance; every target in the box and a small step from the last."""
    config = replace(REACH_POSE, compliance=ComplianceParams(), precision=PRECISION, joint_reset_period=2)
    with real_cell() as cell:
        env = env_in(cell, config)
        observation, _ = env.reset(seed=0)
        go_to(env, observation, REACH_POSE.target)
        log = Log(cell)
        env.reset()
        unwound = log.calls
        log.calls, before, log.poses = [], cell.get_state().robot.tcp_pose_in_base, []
        env.reset(options={"tcp_pose": REACH_POSE.target_pose_in_base})
        state = cell.get_state()
        plain = log.calls
    assert unwound == ["hold", 3000.0, "send", "move_to_joint_positions", "send", 2000.0]
    assert plain == ["hold", 3000.0, "send", 2000.0]
    assert np.abs(state.robot.tcp_pose_in_base[:3] - REACH_POSE.target[:3]).max() < 0.01
    assert max(pose[2] for pose in log.poses) >= min(before[2] + config.lift_m, 0.45) - 1e-9
    assert all(is_inside(pose, REACH_POSE.workspace) for pose in log.poses)
    steps = [spatial.distance_between(*pair) for pair in zip([before, *log.poses], log.poses, strict=False)]
    # Each of the two motions starts where the arm was measured, a hair behind the last target.
    assert max(steps) <= REACH_POSE.reset_speed_m_s * REACH_POSE.control_period_s + 1e-3


def test_a_reset_takes_no_wall_time_and_some_of_the_cells(monkeypatch):
    """No sleep hides in the reset: time is the cell's clock's."""
    monkeypatch.setattr("time.sleep", lambda seconds: pytest.fail("slept"))
    with make_workcell("fake") as cell:
        env_in(cell).reset(seed=0)
        assert 0.5 < cell.clock.now_s() < 5.0


def test_an_arm_that_does_not_arrive_says_so():
    class Stuck(FrankaTask):
        def object_poses(self, np_random, options):
            return None

    config = replace(REACH_POSE, arrival_timeout_s=0.5)
    with real_cell(**{"robot.time_constant_s": 100.0}) as cell, pytest.raises(MotionFailed, match="in its way"):
        env_in(cell, config, Stuck).reset(seed=0)


def test_a_reset_free_task_leaves_a_simulated_world_as_it_is():
    class ResetFree(FrankaTask):
        def object_poses(self, np_random, options):
            return None

    with make_workcell("fake") as cell:
        cell.reset(None, {"block": np.array((0.6, 0.1, 0.02, 0, 0, 0, 1.0))})
        env_in(cell, task=ResetFree).reset(seed=0)
        assert np.allclose(cell.get_state().poses["block"].pose_in_base[:2], (0.6, 0.1))
        env_in(cell).reset(seed=0)
        assert np.allclose(cell.get_state().poses["block"].pose_in_base[:2], (0.5, 0.0))


@given(offset=UNIT, turn=UNIT)
def test_success_is_judged_along_each_axis_by_the_relative_rotation(offset, turn):
    config = replace(REACH_POSE, threshold_m=(0.01, 0.02, 0.03), threshold_rad=(0.1, 0.2, 0.3))
    target, off_m, off_rad = config.target, 0.04 * offset, 0.4 * turn
    # About the target's own axes: composed on the right.
    turned = spatial.compose(target, np.array((0, 0, 0, *spatial.quaternion_from_rotation_vector(off_rad))))
    pose = spatial.make_pose(target[:3] + off_m, turned[3:])
    margins = np.array((*(np.abs(off_m) - config.threshold_m), *(np.abs(off_rad) - config.threshold_rad)))
    if np.abs(margins).min() > 1e-9:
        assert FrankaTask(config).is_at(target, pose) == bool((margins < 0).all())


@given(sign=st.sampled_from((-1.0, 1.0)), small=st.floats(-0.05, 0.05))
def test_a_gripper_that_points_down_succeeds_from_both_sides_of_the_euler_jump(sign, small):
    """S18: |euler| against a signed target, with roll at +-pi, called one half of all arrivals a failure."""
    down = replace(REACH_POSE, target_pose_in_base=(0.45, 0.0, 0.2, 1.0, 0.0, 0.0, 0.0))
    pose = spatial.integrate_delta(down.target, np.zeros(3), np.array((small, 0.0, 0.0)))
    assert FrankaTask(down).is_at(down.target, np.array((*pose[:3], *(sign * pose[3:]))))


def test_the_observed_orientation_never_jumps_between_q_and_minus_q():
    with make_workcell("fake") as cell:
        state, task = cell.reset(), FrankaTask(REACH_POSE)
    for sign in (1.0, -1.0):
        pose = np.array((0.4, 0.0, 0.3, sign, 0.0, 0.0, 0.0))
        turned = type(state.robot).unchecked(**{**state.robot.__dict__, "tcp_pose_in_base": pose})
        seen = task.observe(type(state).unchecked(**{**state.__dict__, "robot": turned}))
        assert np.allclose(seen["tcp_pose"][3:], (1.0, 0.0, 0.0, 0.0))


def test_observations_are_serls_keys():
    with made(ID, cell="fake") as env:
        state = env.reset(seed=0)[0]["state"]
    shapes = {"tcp_pose": 7, "tcp_vel": 6, "gripper_pose": 1, "tcp_force": 3, "tcp_torque": 3}
    assert {key: value.shape for key, value in state.items()} == {key: (size,) for key, size in shapes.items()}


def test_a_change_of_the_gripper_costs_what_the_config_says_and_success_does_not_mind():
    """PR#65, S21: the penalty is configurable, apart from the reward, and nobody takes -0.02 for a success."""
    close = np.array((0, 0, 0, 0, 0, 0, -1.0), np.float32)
    with made(ID, cell="fake") as env:
        env.reset(seed=0)
        steps = [env.step(action) for action in (NOTHING, close, close)]
    assert [step[4]["grasp_penalty"] for step in steps] == [0.0, -0.02, 0.0]
    assert [step[4]["gripper_changed"] for step in steps] == [False, True, False]
    assert [step[1] for step in steps] == [0.0] * 3
    assert not any(step[4]["success"] for step in steps)


def test_views_cut_and_share_cameras():
    views = {"left": ImageView("front", right=0.5), "low": ImageView("front", top=0.75)}
    config = replace(REACH_POSE_VISION, image_keys=("left", "low", "wrist"), image_views=views, image_shape=(32, 32))
    with make_workcell("fake") as cell:
        env = env_in(cell, config)
        images = env.reset(seed=0)[0]["images"]
        assert {name: image.shape for name, image in images.items()} == dict.fromkeys(config.image_keys, (32, 32, 3))
    # The fake camera's red counts columns, its green rows, 0 to 127.
    assert images["left"][..., 0].max() <= 64
    assert images["low"][..., 1].min() >= 95
    with pytest.raises(InvalidConfiguration, match="top < bottom"):
        ImageView("front", top=0.5, bottom=0.5)
    blind = replace(config, image_views={"left": ImageView("side")})
    with pytest.raises(InvalidConfiguration, match="'side'"):
        env_in(make_workcell("fake"), blind)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"translation_scale_m": 0.1}, "max|steps of up to 0.1732"),
        ({"rotation_scale_rad": 0.4}, "turns of up to 0.693"),
        ({"workspace": WorkspaceBox(position_min_m=(0.1, 0, 0.1), position_max_m=(0.5, 0.1, 0.2))}, "orientation"),
        ({"workspace": REACH_POSE.workspace.model_copy(update={"position_min_m": np.array((0.1, 0, 0.1))})}, "x = 0.1"),
    ],
    ids=["step", "turn", "free", "place"],
)
def test_a_task_that_the_cell_would_refuse_is_refused_when_it_is_made(changes, words):
    with pytest.raises(InvalidConfiguration, match=words):
        env_in(make_workcell("fake"), replace(REACH_POSE, **changes))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"target_pose_in_base": (0.4, 0.0, 0.3)}, "target_pose_in_base"),
        ({"reset_pose_in_base": (0.4, 0.0, 0.3, 1.0, 1.0, 0.0, 0.0)}, "length 1"),
        ({"control_period_s": 0.0}, "above 0"),
        ({"gripper_penalty": 0.1}, "at most 0"),
    ],
    ids=str,
)
def test_bad_configs_are_refused(changes, words):
    with pytest.raises(InvalidConfiguration, match=words):
        FrankaTaskConfig(**{**REACH_POSE.__dict__, **changes})


@pytest.mark.parametrize("options", [{"pose": 1}, {"tcp_pose": (0.4, 0.0)}], ids=str)
def test_bad_reset_options_are_refused(options):
    with made(ID, **FAKE) as env, pytest.raises(InvalidConfiguration, match="tcp_pose"):
        env.reset(options=options)


def test_an_arm_that_was_pushed_out_of_the_cell_s_own_box_comes_back_at_a_reset():
    config = replace(REACH_POSE, reset_xy_m=0.0, reset_rz_rad=0.0)
    limits = SafetyLimits(workspace=config.workspace, max_translation_step_m=0.04, max_rotation_step_rad=0.2)
    cell = real_cell(limits=limits)
    env = env_in(cell, config)
    env.reset()
    innermost(cell.robot).move_to_joint_positions(np.array((0.9, 0.5, 0.02, np.pi, 0.0, 1.2, 0.0)))
    assert cell.robot.get_state().mode == "stopped", "an arm so far outside is stopped, and somebody has to look"
    cell.robot.recover()
    observation, _ = env.reset()
    assert spatial.distance_between(observation["state"]["tcp_pose"], REACH_POSE.start) < 0.01
    env.close()


def test_a_vector_of_them_resets_by_itself():
    vector = make_vec(ID, 2, 1, max_episode_steps=3, cell="fake")
    vector.reset(seed=0)
    close = np.tile(np.array((0, 0, 0, 0, 0, 0, -1.0), np.float32), (2, 1))
    steps = [vector.step(close) for _ in range(4)]
    vector.close()
    assert [step[3].tolist() for step in steps] == [[False] * 2, [False] * 2, [True] * 2, [False] * 2]
    assert [step[4]["grasp_penalty"].tolist() for step in (steps[0], steps[1])] == [[-0.02] * 2, [0.0] * 2]


def test_a_task_of_ones_own_needs_no_id():
    env = franka_env(replace(REACH_POSE, max_episode_length=2), "fake")
    env.reset(seed=0)
    assert [env.step(NOTHING)[3] for _ in range(2)] == [False, True]
    env.close()


def test_the_entry_knows_its_own_cell():
    env = make_env(ID)
    assert env.unwrapped.workcell.name == "mujoco-pick-cube"
