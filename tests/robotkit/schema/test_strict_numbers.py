"""Laws of the border: a number is a number, bounds come in pairs, and nothing else passes."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import robotkit as rk
from robotkit.errors import InvalidMessage

NO_NUMBERS = [True, False, "0.5", "1e-1", "\u0661", None, [], {}, 10**400, -(10**400), float("nan"), float("inf"), 1j]
JOINTS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]


@pytest.mark.parametrize("bad", NO_NUMBERS, ids=repr)
def test_f6_p13_what_is_no_number_is_refused_in_every_kind_of_field(bad):
    with pytest.raises(InvalidMessage):
        rk.GripperCommand(position=bad)
    for index in (0, 6):
        with pytest.raises(InvalidMessage):
            rk.JointCommand(joint_positions_rad=[bad if i == index else x for i, x in enumerate(JOINTS)])
    with pytest.raises(InvalidMessage):
        rk.StepRequest(period_s=bad)
    with pytest.raises(InvalidMessage):
        rk.ComplianceParams(translational_stiffness_n_m=bad)
    with pytest.raises(InvalidMessage):
        rk.SafetyLimits(watchdog_s="soon" if bad is None else bad)


@pytest.mark.parametrize("bad", [True, "0.5", 10**400, None], ids=repr)
def test_f6_p13_so_it_is_on_the_wire(bad):
    body = json.dumps({"kind": "joint", "joint_positions_rad": [bad, *JOINTS[1:]]})
    with pytest.raises(ValidationError):
        rk.JointCommand.model_validate_json(body)
    with pytest.raises(ValidationError):
        rk.StepRequest.model_validate_json(json.dumps({"period_s": bad}))


@pytest.mark.parametrize("digits", [400, 5000, 100_000])
def test_p13_an_integer_of_many_digits_is_a_validation_error(digits):
    for body in ('{"kind":"joint","joint_positions_rad":[%s]}', '{"kind":"joint","joint_positions_rad":%s}'):
        with pytest.raises(ValidationError):
            rk.JointCommand.model_validate_json(body % ("9" * digits))
    with pytest.raises(InvalidMessage):
        rk.JointCommand(joint_positions_rad=[10**digits] * 7)
    with pytest.raises(ValidationError):
        rk.ResetRequest.model_validate_json('{"seed": %s}' % ("9" * digits))


@pytest.mark.parametrize("seed", [-1, True, "1", 1.5])
def test_p13_a_seed_is_a_whole_number_from_zero(seed):
    with pytest.raises(InvalidMessage):
        rk.ResetRequest(seed=seed)
    assert rk.ResetRequest(seed=0).seed == 0


@pytest.mark.parametrize("good", [1, 0.5, np.float32(0.5), np.float64(1.0), np.int64(1), np.uint8(0)], ids=repr)
def test_p13_numpys_numbers_are_numbers_and_its_booleans_are_none(good):
    assert rk.GripperCommand(position=good).position == float(good)
    assert rk.JointCommand(joint_positions_rad=[good] * 7).joint_positions_rad.tolist() == [float(good)] * 7
    with pytest.raises(InvalidMessage):
        rk.GripperCommand(position=np.bool_(True))
    with pytest.raises(InvalidMessage):
        rk.JointCommand(joint_positions_rad=np.ones(7, bool))


def test_lists_of_a_file_become_tuples_and_arrays():
    plane = {"name": "table", "point_in_base_m": [0, 0, 0], "normal_in_base": [0, 0, 1]}
    assert rk.SafetyLimits(planes=[plane]).planes[0].normal_in_base.tolist() == [0.0, 0.0, 1.0]


@given(st.lists(st.floats(-3, 3), min_size=7, max_size=7))
def test_what_is_a_number_survives_the_wire(joints):
    command = rk.JointCommand(joint_positions_rad=joints)
    assert rk.JointCommand.model_validate_json(command.model_dump_json()) == command


@pytest.mark.parametrize("clip", [
    {"translational_clip_min_m": (0.01, -0.01, -0.01)},
    {"translational_clip_max_m": (-0.01, 0.01, 0.01)},
    {"translational_clip_max_m": (5.0, 0.01, 0.01)},
    {"translational_clip_min_m": (-5.0, -0.01, -0.01)},
    {"rotational_clip_min": (0.0, 0.0, 0.1)},
    {"rotational_clip_max": (0.0, -0.1, 0.0)},
    {"rotational_clip_max": (1.1, 0.0, 0.0)},
])  # fmt: skip
def test_p1_a_clip_contains_zero_and_bounds_something(clip):
    with pytest.raises(InvalidMessage, match="min <= 0 <= max"):
        rk.ComplianceParams(**clip)


def test_the_contact_force_is_stiffness_times_the_wider_side():
    params = rk.ComplianceParams(
        translational_stiffness_n_m=1000.0, translational_clip_min_m=(-0.02, 0.0, 0.0), rotational_stiffness_nm=100.0,
        rotational_clip_max=(0.0, 0.07, 0.0), rotational_clip_min=(-0.06, 0.0, 0.0),
    )  # fmt: skip
    assert params.contact_force_n == pytest.approx(20.0)
    assert params.contact_torque_nm == pytest.approx(7.0)


BOX = {"position_min_m": (0.0, 0.0, 0.0), "position_max_m": (1.0, 1.0, 1.0)}


@pytest.mark.parametrize("box", [
    {**BOX, "position_min_m": (2.0, 0.0, 0.0)},
    {**BOX, "reference_quaternion_xyzw": (1, 0, 0, 0), "rotation_vector_min_rad": (1.0, 0, 0),
     "rotation_vector_max_rad": (0.0, 0, 0)},
    {**BOX, "rotation_vector_max_rad": (0.5, 0.5, 0.5)},
    {**BOX, "rotation_vector_min_rad": (-0.5, -0.5, -0.5)},
])  # fmt: skip
def test_p1_a_box_is_ordered_and_its_rotation_has_a_reference(box):
    with pytest.raises(InvalidMessage):
        rk.WorkspaceBox(**box)


def test_p1_joint_limits_of_a_cell_are_ordered():
    with pytest.raises(InvalidMessage, match="not exceed"):
        rk.SafetyLimits(joint_position_min_rad=[1.0, 0.0], joint_position_max_rad=[0.0, 1.0])
    with pytest.raises(InvalidMessage, match="length"):
        rk.SafetyLimits(joint_position_min_rad=[0.0], joint_position_max_rad=[0.0, 1.0])


SPEC = {
    "name": "arm", "joint_position_min_rad": [-1.0, -1.0], "joint_position_max_rad": [1.0, 1.0],
    "joint_velocity_max_rad_s": [1.0, 1.0], "reset_joint_positions_rad": [0.0, 0.0],
}  # fmt: skip


@pytest.mark.parametrize("change", [
    {"joint_position_min_rad": [-1.0]},
    {"joint_velocity_max_rad_s": [1.0, 0.0]},
    {"joint_position_min_rad": [1.0, -1.0]},
    {"reset_joint_positions_rad": [0.0, 1.1]},
    {"reset_joint_positions_rad": [0.0, -1.1]},
    {"joint_position_min_rad": [], "joint_position_max_rad": [], "joint_velocity_max_rad_s": [],
     "reset_joint_positions_rad": []},
])  # fmt: skip
def test_p1_an_arm_is_consistent(change):
    assert rk.RobotSpec(**SPEC).joint_count == 2
    with pytest.raises(InvalidMessage):
        rk.RobotSpec(**{**SPEC, **change})
