"""What the Franka drivers know of the arms without being told: ranges, speeds, defaults, tight capsules."""

from __future__ import annotations

import numpy as np
import pytest

import robotkit as rk
from robotkit.drivers.franka import FrankaRobot
from robotkit.drivers.franka import kinematics as franka
from robotkit.drivers.franka.config import FrankaHandConfig, FrankaLoad, FrankaRobotConfig, JointLimitRepulsion
from robotkit.kinematics import ForwardKinematics
from sims.models.panda import LINKS, VELOCITY_MAX_RAD_S
from tests.robotkit.drivers.test_franka_kinematics import READY, fr3, mesh_triangles, set_joints  # noqa: F401  (a fixture)
from tests.support.franky_sim.limits import JOINT_SPEED_MAX_RAD_S


def spec_of(**options: object) -> rk.RobotSpec:
    config = FrankaRobotConfig(**{"host": "box"} | options)
    return FrankaRobot(config, rk.CellContext()).spec


def test_the_fr3_has_the_ranges_of_its_makers_model_and_the_speeds_of_its_data_sheet(fr3):  # noqa: F811
    model, _ = fr3
    spec = spec_of()
    ranges_rad = [model.joint(f"fr3_joint{number}").range for number in range(1, 8)]
    np.testing.assert_allclose(np.column_stack((spec.joint_position_min_rad, spec.joint_position_max_rad)), ranges_rad)
    np.testing.assert_array_equal(spec.joint_velocity_max_rad_s, JOINT_SPEED_MAX_RAD_S)


def test_the_panda_has_the_ranges_and_speeds_of_the_simulated_one():
    spec = spec_of(model="panda")
    ranges_rad = [link.joint_range_rad for link in LINKS if link.joint_range_rad is not None]
    np.testing.assert_array_equal(spec.joint_position_min_rad, [low for low, _ in ranges_rad])
    np.testing.assert_array_equal(spec.joint_position_max_rad, [high for _, high in ranges_rad])
    np.testing.assert_array_equal(spec.joint_velocity_max_rad_s, VELOCITY_MAX_RAD_S)


def test_before_it_is_connected_the_franka_hand_is_assumed_and_the_configured_tool_is_added():
    """The hand's fingertips are 0.1034 m before the flange, which is 0.107 m before the last joint."""
    np.testing.assert_array_equal(spec_of().reset_joint_positions_rad, READY)
    plain = ForwardKinematics(spec_of().kinematics).tcp_pose(np.zeros(7))
    tool = [0.0, 0.0, 0.1, 0.0, 0.0, 0.0, 1.0]
    longer = ForwardKinematics(spec_of(tcp_in_nominal_end_effector=tool).kinematics).tcp_pose(np.zeros(7))
    np.testing.assert_allclose(plain[2] - longer[2], 0.1, atol=1e-9)
    assert spec_of().kinematics.tcp_in_last_link[2] == pytest.approx(0.107 + 0.1034)
    assert spec_of().kinematics.capsules[-1].name == "hand"
    assert spec_of().command_kinds == ("pose",)


def test_the_defaults_are_those_of_serl_and_of_the_data_sheets():
    """SERL filters targets with 0.005 a millisecond, and turns a joint at its end with 7.5 Nm at most.

    franky's own thresholds of a collision are 20 Nm and 30 N; a change of a joint's torque by 1 Nm in 1 ms is
    libfranka's bound.
    """
    config, repulsion = FrankaRobotConfig(host="box"), JointLimitRepulsion()
    assert np.exp(-1e-3 / config.target_time_constant_s) == pytest.approx(0.995, abs=2e-5)
    assert repulsion.stiffness_nm_rad * repulsion.distance_rad == repulsion.torque_max_nm == 10.0
    assert repulsion.damping_nms_rad == 2.0
    assert config.joint_tolerance_rad < 0.05
    assert config.joint_relative_dynamics == 0.2
    np.testing.assert_array_equal(config.compliance.translational_stiffness_n_m, 2000.0)
    hand = FrankaHandConfig(host="box")
    assert (hand.speed_m_s, hand.force_n, hand.width_max_m) == (0.1, 40.0, 0.08)
    assert config.collision_torque_nm.tolist() == [20.0] * 7
    assert config.collision_force_n.tolist() == [30.0] * 6
    assert config.torque_rate_limit_nm == 1.0


def test_a_load_is_its_mass_at_the_flange_unless_more_is_said():
    load = FrankaLoad(mass_kg=1.0)
    np.testing.assert_array_equal(load.centre_of_mass_in_flange_m, np.zeros(3))
    np.testing.assert_array_equal(load.inertia_kg_m2, np.zeros((3, 3)))
    with pytest.raises(rk.InvalidConfiguration, match="inertia"):
        rk.make_robot("franka", host="box", load={"mass_kg": 1.0, "inertia_kg_m2": [0.0, 0.0, 0.0]})


_HALF_TURNED = [[2.0, 1.0, 0.0], [1.0, 2.0, 0.0], [0.0, 0.0, 3.0]]
"""Principal moments 1, 3 and 3: a rod about an axis between x and y."""


@pytest.mark.parametrize(
    ("option", "sound", "wrong", "reason"),
    [
        ("inertia_kg_m2", 1e-3 * np.array(_HALF_TURNED), -np.eye(3), "positive semidefinite"),
        ("inertia_kg_m2", np.diag((1.0, 1.0, 0.0)), np.diag((1.0, 1.0, -0.1)), "positive semidefinite"),
        ("inertia_kg_m2", np.eye(3), np.eye(3) + np.eye(3, k=1), "symmetric"),
        ("inertia_kg_m2", np.diag((2.0, 2.0, 1e-9)), np.diag((10.0, 10.0, 10.0)), r"1 kg cm\^2 is 1e-4 kg m\^2"),
        ("centre_of_mass_in_flange_m", [0.3, 0.0, 0.4], [50.0, 0.0, 0.0], r"50 m .* 0\.5 m are allowed"),
    ],
)
def test_p1_a_load_is_a_body_near_the_flange(option, sound, wrong, reason):
    rk.registry.robots.validate("franka", {"host": "box", "load": {"mass_kg": 1.0, option: sound}})
    with pytest.raises(rk.InvalidConfiguration, match=rf"load\.{option}: .*{reason}"):
        rk.registry.robots.validate("franka", {"host": "box", "load": {"mass_kg": 1.0, option: wrong}})


def test_p1_a_posture_lies_inside_the_ranges_of_its_model():
    at_the_end = [0.0, 0.0, 0.0, -0.1, 0.0, 1.0, 0.0]
    FrankaRobotConfig(host="box", model="panda", nullspace_posture_rad=at_the_end)
    with pytest.raises(
        rk.InvalidConfiguration, match=r"nullspace_posture_rad: joint 4 of the fr3 .* -0\.1518 rad, not to -0\.1"
    ):
        rk.registry.robots.validate("franka", {"host": "box", "nullspace_posture_rad": at_the_end})


@pytest.mark.parametrize("name", ["collision_torque_nm", "collision_force_n"])
def test_b9_the_ends_of_the_range_of_a_collision_threshold_are_allowed(name):
    count = len(getattr(FrankaRobotConfig(host="box"), name))
    for value in (0.5, 200.0):
        assert getattr(FrankaRobotConfig(**{"host": "box", name: [value] * count}), name)[0] == value
    with pytest.raises(ValueError, match="at most 200"):
        FrankaRobotConfig(**{"host": "box", name: [200.5] * count})


def test_the_capsules_are_no_larger_than_they_have_to_be(fr3):  # noqa: F811
    """Their middle lines lie inside the box around the link, and they stand out of it by less than 9 cm."""
    model, data = fr3
    chain = franka.chain(franka.HAND_TCP_IN_FLANGE, has_hand=True)
    set_joints(model, data, READY)
    kinematics = ForwardKinematics(chain)
    ends, frames = kinematics.capsule_ends(READY[None])[0], kinematics.frames(READY[None])[0]
    for capsule, points in zip(chain.capsules, ends, strict=True):
        body = "hand" if capsule.name == "hand" else f"fr3_link{capsule.link}"
        frame = frames[min(capsule.link, 7)]
        mesh = mesh_triangles(model, data, model.body(body).id).reshape(-1, 3)
        in_link, on_line = ((found - frame[:3, 3]) @ frame[:3, :3] for found in (mesh, points))
        inside_m = np.minimum(on_line - in_link.min(axis=0), in_link.max(axis=0) - on_line).min()
        assert inside_m > 0.0, capsule.name
        assert capsule.radius_m - inside_m < 0.09, capsule.name
