"""Laws of the messages and of the error tree."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

import robotkit as rk
from robotkit import errors, schema
from robotkit.errors import InvalidMessage

POSE = [0.5, 0, 0.3, 1, 0, 0, 0]
ERRORS = [c for c in vars(errors).values() if inspect.isclass(c) and issubclass(c, rk.RobotkitError)]


def test_every_error_has_its_own_code_and_comes_back_as_itself():
    assert len({cls.code for cls in ERRORS}) == len(ERRORS)
    for cls in ERRORS:
        back = errors.error_from_code(cls.code, "what to do")
        assert type(back) is cls
        assert back.message == "what to do"
    assert type(errors.error_from_code("from_the_future", "x")) is rk.ProtocolError


def test_the_drawing_of_the_tree_shows_every_error():
    assert all(cls.__name__ in errors.__doc__ for cls in ERRORS)


def test_public_names_exist_and_are_complete():
    assert all(hasattr(rk, name) for name in rk.__all__)
    assert set(schema.__all__) <= set(rk.__all__)
    assert {cls.__name__ for cls in ERRORS} <= set(rk.__all__)
    assert sorted(rk.__all__) == list(rk.__all__)


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "pose", "tcp_pose_in_base": [float("nan"), *POSE[1:]]},
        {"kind": "pose", "tcp_pose_in_base": [float("inf"), *POSE[1:]]},
        {"kind": "pose", "tcp_pose_in_base": POSE[:6]},
        {"kind": "pose", "tcp_pose_in_base": [*POSE[:3], 2, 0, 0, 0]},
        {"kind": "pose", "tcp_pose_in_base": "here"},
        {"kind": "pose", "tcp_pose_in_base": POSE, "speed": 1},
        {"kind": "pose"},
        {"kind": "joint", "tcp_pose_in_base": POSE},
        {"kind": "torque", "joint_positions_rad": [0.0]},
        {"tcp_pose_in_base": POSE},
    ],
)
def test_a_bad_command_never_becomes_a_message(fields):
    with pytest.raises(ValidationError):
        TypeAdapter(rk.RobotCommand).validate_python(fields)


def test_messages_are_frozen_and_so_are_their_arrays():
    command = rk.PoseCommand(tcp_pose_in_base=POSE)
    with pytest.raises(ValidationError):
        command.kind = "joint"
    with pytest.raises(ValueError, match="read-only"):
        command.tcp_pose_in_base[0] = 1.0


def test_a_message_does_not_share_the_callers_array():
    pose = np.array(POSE, dtype=float)
    command = rk.PoseCommand(tcp_pose_in_base=pose)
    pose[0] = 9.0
    assert command.tcp_pose_in_base[0] == 0.5


@pytest.mark.parametrize(
    "message",
    [rk.ComplianceParams(), rk.WorkspaceBox(position_min_m=[0, 0, 0], position_max_m=[1, 1, 1])],
)
def test_default_arrays_are_read_only(message):
    for value in vars(message).values():
        if isinstance(value, np.ndarray):
            assert not value.flags.writeable


def test_quaternions_are_normalised_when_they_are_nearly_unit():
    command = rk.PoseCommand(tcp_pose_in_base=[*POSE[:3], 1.0005, 0, 0, 0])
    assert np.linalg.norm(command.tcp_pose_in_base[3:]) == pytest.approx(1.0, abs=1e-15)


def test_an_unchecked_message_equals_a_validated_one():
    unchecked = rk.PoseCommand.unchecked(kind="pose", tcp_pose_in_base=np.array(POSE, dtype=float))
    assert unchecked == rk.PoseCommand(tcp_pose_in_base=POSE)
    assert unchecked.model_dump_json() == rk.PoseCommand(tcp_pose_in_base=POSE).model_dump_json()


@pytest.mark.parametrize(
    ("message", "update"),
    [
        (rk.ComplianceParams(), {"translational_clip_min_m": (0.01, 0.01, 0.01)}),
        (rk.ComplianceParams(), {"translational_stiffness_n_m": float("nan")}),
        (rk.SafetyLimits(), {"max_tcp_speed_m_s": -1.0}),
        (rk.SafetyLimits(), {"max_speed": 1.0}),
    ],
)
def test_p1_a_copy_with_other_values_is_checked_like_any_message(message, update):
    with pytest.raises(InvalidMessage):
        message.model_copy(update=update)
    assert message.model_copy(update={}) == message
    assert message.model_copy() == message


def test_a_copy_keeps_what_was_not_set_unset():
    copied = rk.SafetyLimits(max_force_n=3.0).model_copy(update={"watchdog_s": 0.2})
    assert copied.model_dump(exclude_unset=True) == {"max_force_n": 3.0, "watchdog_s": 0.2}


@pytest.mark.parametrize("positions", [(), (0.0, 1.5), (1.0, 0.0), (0.0, 0.0, 1.0), (-0.1, 1.0), (True, False)])
def test_f12_positions_of_a_gripper_ascend_within_its_range(positions):
    with pytest.raises(InvalidMessage):
        rk.GripperSpec(name="claw", width_max_m=0.1, positions=positions)
    assert rk.GripperSpec(name="claw", width_max_m=0.1, positions=(0.0, 0.3, 1.0)).nearest_position(0.2) == 0.3
