"""A reset forgets: what follows it depends on its arguments alone, and a placement is checked before anything moves."""

from __future__ import annotations

import numpy as np
import pytest

import robotkit as rk
from sims.controllers.impedance import IMPEDANCE, impedance_record, impedance_torque, start_impedance
from sims.controllers.joint import joint_record, start_joint
from sims.controllers.records import ARM, TARGET, WORK, record
from tests.sims.scene_cells import CELLS

VARIED = {
    "friction": (0.5, 2.0), "mass": (0.5, 2.0), "object_xy_m": 0.02, "object_yaw_rad": 0.3, "grip_m": 0.003,
    "camera_m": 0.02, "camera_rad": 0.1, "light": (0.5, 1.0),
}  # fmt: skip
INTEGRATING = rk.ComplianceParams(translational_ki=20.0, rotational_ki=20.0)
DOWN = np.array((1.0, 0.0, 0.0, 0.0))


def bare(robot):
    while hasattr(robot, "inner"):
        robot = robot.inner
    return robot


def upset(cell: rk.Workcell, seed: int) -> None:
    """Leave traces in everything that remembers: integrals, filters, owed time, gripper, joint law, generator."""
    state, rng = cell.get_state().robot, np.random.default_rng(seed)
    for _ in range(5):
        target = state.tcp_pose_in_base + np.array((*rng.uniform(-0.05, 0.05, 3), 0, 0, 0, 0))
        bare(cell.robot).send(rk.PoseCommand(tcp_pose_in_base=target))
        cell.gripper.move(float(rng.uniform()))
        cell.clock.advance(0.0237)
    joints = cell.robot.get_state().joint_positions_rad + rng.uniform(-0.1, 0.1, 7)
    bare(cell.robot).send(rk.JointCommand(joint_positions_rad=joints))
    cell.clock.advance(0.0117)
    cell.gripper.move(0.5)


def episode(cell: rk.Workcell, seed: int | None) -> bytes:
    """Reset, move a little, and return everything that was measured."""
    state, measured = cell.reset(seed), []
    target = state.robot.tcp_pose_in_base + np.array((0.01, 0.01, -0.01, 0, 0, 0, 0))
    for _ in range(8):
        measured += [
            state.robot.joint_positions_rad, state.robot.wrench_in_tcp, *(p.pose_in_base for p in state.poses.values()),
            (state.gripper.position, state.gripper.target_position, state.gripper.is_moving, state.gripper.is_grasping),
        ]  # fmt: skip
        state = cell.step(rk.PoseCommand(tcp_pose_in_base=target), None, 0.013)
    return np.concatenate(measured).tobytes()


@pytest.mark.parametrize("name", CELLS)
def test_m25_an_episode_does_not_depend_on_what_came_before(name):
    with rk.make_workcell(name, **{"world.randomisation": VARIED}) as cell:
        cell.robot.set_compliance(INTEGRATING)
        first = episode(cell, 3)
        for seed in (11, 12):
            upset(cell, seed)
            assert episode(cell, 3) == first
        cell.reset(5)
        upset(cell, 13)
        assert episode(cell, 3) == first


def test_m25_the_integral_of_a_push_is_gone_after_a_reset():
    with rk.make_workcell("mujoco-pick-cube", **{"robot.controller": "impedance"}) as cell:
        cell.reset(0)
        cell.robot.set_compliance(INTEGRATING)
        target = cell.get_state().robot.tcp_pose_in_base + np.array((0.05, 0, 0, 0, 0, 0, 0))
        cell.step(rk.PoseCommand(tcp_pose_in_base=target), None, 0.1)
        integral = cell.world.arm._integral
        assert np.abs(integral).max() > 0.0
        cell.reset(0)
        np.testing.assert_array_equal(integral, 0.0)
        cell.clock.advance(1.0)
        cell.reset(0)
        np.testing.assert_array_equal(integral, 0.0)


def arm_at(q):
    arm = record(ARM)
    arm["q"], arm["inertia"], arm["rotation"] = q, np.eye(7), np.eye(3).ravel()
    arm["jacobian"], arm["position"] = np.eye(6, 7), (0.4, 0.1, 0.3)
    return arm


def test_m25_a_law_that_starts_remembers_nothing():
    arm, target = arm_at(np.linspace(-1.0, 1.0, 7)), record(TARGET)
    target["quaternion"], target["joints"] = (1.0, 0.0, 0.0, 0.0), np.linspace(0.5, 1.5, 7)
    fresh, used = impedance_record(0.002), impedance_record(0.002)
    target["position"] = (0.5, 0.0, 0.2)
    used["integral"], used["torque"], used["rest"], used["position"] = 0.05, 3.0, 0.3, 0.7
    used["quaternion"], used["gains"] = (0.0, 1.0, 0.0, 0.0), 17.0
    for law in (fresh, used):
        start_impedance(arm, target, law)
    for name in IMPEDANCE.names:
        np.testing.assert_array_equal(used[name], fresh[name], err_msg=name)
    np.testing.assert_array_equal(used["position"][0], arm["position"][0])
    np.testing.assert_array_equal(used["rest"][0], target["joints"][0])
    np.testing.assert_array_equal(used["integral"][0], 0.0)
    np.testing.assert_array_equal(used["torque"][0], 0.0)
    torques = []
    for law in (fresh, used):
        work = record(WORK)
        impedance_torque(arm, target, law, work)
        torques.append(work["torque"].copy())
    np.testing.assert_array_equal(*torques)
    joint = joint_record(0.002, np.full(7, 2.0))
    joint["reference"] = 9.0
    start_joint(arm, joint)
    np.testing.assert_array_equal(joint["reference"][0], arm["q"][0])


def test_m26_time_that_was_owed_is_not_paid_after_a_reset():
    with rk.make_workcell("mujoco-pick-cube") as cell:
        for forget in (lambda: cell.reset(0), lambda: reconnect(cell)):
            cell.clock.advance(0.003)
            forget()
            before_s = cell.clock.now_s()
            cell.clock.advance(0.001)
            assert cell.clock.now_s() == before_s, "half a physics step"
            assert cell.world.data.time == 0.0
            cell.clock.advance(0.001)
            assert cell.clock.now_s() == pytest.approx(before_s + 0.002, abs=1e-12)


def reconnect(cell: rk.Workcell) -> None:
    cell.disconnect()
    cell.connect()


@pytest.mark.parametrize("name", ["mujoco-pick-cube", "mujoco-peg-insertion"])
def test_m26_a_gripper_command_from_before_a_reset_does_not_count_as_motion(name):
    with rk.make_workcell(name, **{"world.scene_options.grasp": "friction"} if "peg" in name else {}) as cell:
        expected = cell.reset(0).gripper
        for opening in (1.0, 0.0, 0.5):
            cell.gripper.move(opening)
            found = cell.reset(0).gripper
            for field in ("position", "target_position", "width_m", "is_moving", "is_grasping"):
                assert getattr(found, field) == getattr(expected, field), field


def fields_of(model) -> list[np.ndarray]:
    names = ("geom_friction", "body_mass", "body_inertia", "eq_data", "cam_pos", "cam_quat", "light_diffuse",
             "body_invweight0", "dof_invweight0", "body_subtreemass", "cam_pos0")  # fmt: skip
    return [getattr(model, name).copy() for name in names]


@pytest.mark.parametrize("name", CELLS)
def test_m26_what_a_reset_draws_depends_on_its_seed_alone(name):
    with rk.make_workcell(name, **{"world.randomisation": VARIED}) as cell:
        model = cell.world.model
        cell.reset(3)
        first = fields_of(model)
        assert any((a != b).any() for a, b in zip(first, fields_of(rk.make_workcell(name).world.model), strict=True))
        cell.reset(4)
        cell.reset()
        cell.reset(3)
        for a, b in zip(first, fields_of(model), strict=True):
            np.testing.assert_array_equal(a, b)


def test_m26_a_reconnected_world_equals_a_new_one():
    with rk.make_workcell("mujoco-bin-relocation", **{"world.randomisation": VARIED}) as cell:
        nominal = fields_of(cell.world.model)
        first = [episode(cell, None) for _ in range(2)]
        upset(cell, 1)
        reconnect(cell)
        for a, b in zip(nominal, fields_of(cell.world.model), strict=True):
            np.testing.assert_array_equal(a, b)
        assert [episode(cell, None) for _ in range(2)] == first


def test_m26_a_reconnected_running_world_runs():
    with rk.make_workcell("mujoco-pick-cube", clock="real", **{"limits.watchdog_s": None}) as cell:
        for _ in range(3):
            cell.disconnect()
            with pytest.raises(rk.NotConnected):
                cell.robot.get_state()
            cell.connect()
            state = cell.get_state().robot
            cell.clock.advance(0.1)
            assert cell.get_state().robot.stamp_s > state.stamp_s
            np.testing.assert_allclose(
                cell.get_state().robot.joint_positions_rad, cell.robot.spec.reset_joint_positions_rad, atol=1e-3
            )


NO_POSES = [
    (np.nan, 0.0, 0.1, *DOWN), (0.5, np.inf, 0.1, *DOWN), (0.5, 0.0, 1e9, *DOWN), (0.5, 0.0, -11.0, *DOWN),
    (0.5, 0.0, 0.1, 0.0, 0.0, 0.0, 0.0), (0.5, 0.0, 0.1, 0.0, 0.0, 0.0, 2.0), (0.5, 0.0, 0.1, np.nan, 0.0, 0.0, 1.0),
    (0.5, 0.0, 0.1), "here",
]  # fmt: skip
OVERLAPS = [
    (0.5, 0.0, 0.0, *DOWN),  # half in the floor
    (0.5, 0.0, -0.5, *DOWN),  # below it
    (0.0, 0.0, 0.2, *DOWN),  # in the arm
]


@pytest.mark.parametrize("pose", NO_POSES + OVERLAPS)
def test_p8_a_placement_that_would_burst_is_refused_and_changes_nothing(pose):
    options = {"world.randomisation": {**VARIED, "grip_m": 0.0}}
    with (
        rk.make_workcell("mujoco-pick-cube", **options) as cell,
        rk.make_workcell("mujoco-pick-cube", **options) as twin,
    ):
        for each in (cell, twin):
            each.reset(3)
            each.clock.advance(0.05)
        before, resets, fields = cell.get_state(), cell.world.resets, fields_of(cell.world.model)
        with pytest.raises(rk.InvalidCommand, match=r"block.*(m from the base|x y z in m|nothing was moved)"):
            cell.reset(None, {"block": pose})
        after = cell.get_state()
        np.testing.assert_array_equal(after.robot.joint_positions_rad, before.robot.joint_positions_rad)
        np.testing.assert_array_equal(after.poses["block"].pose_in_base, before.poses["block"].pose_in_base)
        assert cell.world.resets == resets
        for a, b in zip(fields, fields_of(cell.world.model), strict=True):
            np.testing.assert_array_equal(a, b)
        assert episode(cell, None) == episode(twin, None), "a refused reset draws nothing"


def test_p8_two_objects_may_not_be_placed_in_each_other():
    with rk.make_workcell("mujoco-bin-relocation") as cell:
        home = cell.get_state().poses
        wall = home["bin_0"].pose_in_base.copy()
        wall[:3] += (0.13, 0.0, 0.02)
        with pytest.raises(rk.InvalidCommand, match=r"object.*bin_0|bin_0.*object"):
            cell.reset(0, {"object": wall})
        cell.reset(0, {"object": home["object"].pose_in_base})


def test_p8_a_held_part_may_not_start_inside_the_socket():
    with rk.make_workcell("mujoco-peg-insertion") as cell:
        socket = cell.get_state().poses["socket"].pose_in_base.copy()
        socket[:3] += (0.01, 0.0, 0.1)
        with pytest.raises(rk.InvalidCommand, match="overlap"):
            cell.reset(0, {"socket": socket})


@pytest.mark.parametrize("name", CELLS)
def test_p8_home_and_what_a_reset_draws_are_free(name):
    with rk.make_workcell(name, **{"world.randomisation": VARIED}) as cell:
        for seed in range(5):
            cell.reset(seed)
            assert not cell.world.data.warning.number.any()
