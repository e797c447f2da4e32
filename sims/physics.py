"""Compiled loops over MuJoCo: a law and a physics step, many times in one call that holds no interpreter lock."""

from __future__ import annotations

from pathlib import Path

import llvmlite.binding
import mujoco
import numba
import numpy as np
from numba import types

from robotkit.errors import ConfigurationError
from sims.controllers.compiled import compiled
from sims.controllers.impedance import impedance_torque, start_impedance
from sims.controllers.joint import joint_torque, start_joint
from sims.controllers.opspace import opspace_torque
from sims.controllers.records import CARTESIAN_IMPEDANCE, JOINTS, OPERATIONAL_SPACE
from sims.mujoco_addresses import Address
from sims.pointers import numbers_at, pointer
from sims.soundness import has_warned, is_far, keep_state


def _load_library() -> None:
    """Make MuJoCo's functions visible to compiled code."""
    folder = Path(mujoco.__file__).parent
    found = sorted([*folder.glob("libmujoco*"), *folder.glob("mujoco*.dll")])
    if not found:
        raise ConfigurationError(f"MuJoCo's library is not in {folder}; reinstall the package mujoco")
    llvmlite.binding.load_library_permanently(str(found[0]))


_load_library()
_mj_step = types.ExternalFunction("mj_step", types.void(types.intp, types.intp))

WORLD = np.dtype([("steps", "i8"), ("period", "f8"), ("origin", "f8")])
"""Physics steps since the start, their length in s, and the cell's time in s at step 0."""

# Enum members are not constants to the compiler; plain integers are.
_MODEL, _DATA, _Q, _DQ, _CTRL = (
    int(Address.MODEL),
    int(Address.DATA),
    int(Address.Q),
    int(Address.DQ),
    int(Address.CTRL),
)
_POSITION, _ROTATION = int(Address.SITE_POSITION), int(Address.SITE_ROTATION)
_ANCHOR, _AXIS = int(Address.JOINT_ANCHOR), int(Address.JOINT_AXIS)
_BASE_POSITION, _BASE_ROTATION = int(Address.BASE_POSITION), int(Address.BASE_ROTATION)
_INERTIA, _BIAS, _INDEX = int(Address.INERTIA), int(Address.BIAS), int(Address.INERTIA_INDEX)


@compiled
def turn_back(R: np.ndarray, x: float, y: float, z: float) -> tuple[float, float, float]:
    """Turn a vector from the outer frame into that of a rotation matrix (9,)."""
    return R[0] * x + R[3] * y + R[6] * z, R[1] * x + R[4] * y + R[7] * z, R[2] * x + R[5] * y + R[8] * z


@compiled
def write_pose_in_base(
    base_position: np.ndarray,
    base_rotation: np.ndarray,
    position: np.ndarray,
    rotation: np.ndarray,
    position_out: np.ndarray,
    rotation_out: np.ndarray,
) -> None:
    """Write position (3,) and rotation matrix (9,) of a thing in the frame of an arm's base."""
    x, y, z = position[0] - base_position[0], position[1] - base_position[1], position[2] - base_position[2]
    position_out[0], position_out[1], position_out[2] = turn_back(base_rotation, x, y, z)
    for i in range(3):
        column = turn_back(base_rotation, rotation[i], rotation[3 + i], rotation[6 + i])
        rotation_out[i], rotation_out[3 + i], rotation_out[6 + i] = column


@compiled
def write_tool_pose(table: np.ndarray, position: np.ndarray, rotation: np.ndarray) -> None:
    """Write position (3,) and rotation matrix (9,) of the tool point in the base frame."""
    write_pose_in_base(
        numbers_at(table[_BASE_POSITION], 3), numbers_at(table[_BASE_ROTATION], 9),
        numbers_at(table[_POSITION], 3), numbers_at(table[_ROTATION], 9), position, rotation,
    )  # fmt: skip


@compiled
def tool_jacobian(table: np.ndarray, jacobian: np.ndarray) -> None:
    """Write the Jacobian (6, 7) of the tool point in the base frame: linear rows, then angular ones."""
    position = numbers_at(table[_POSITION], 3)
    anchor, axis = numbers_at(table[_ANCHOR], 3 * JOINTS), numbers_at(table[_AXIS], 3 * JOINTS)
    base = numbers_at(table[_BASE_ROTATION], 9)
    for i in range(JOINTS):
        ax, ay, az = axis[3 * i], axis[3 * i + 1], axis[3 * i + 2]
        rx, ry, rz = position[0] - anchor[3 * i], position[1] - anchor[3 * i + 1], position[2] - anchor[3 * i + 2]
        linear = turn_back(base, ay * rz - az * ry, az * rx - ax * rz, ax * ry - ay * rx)
        jacobian[0, i], jacobian[1, i], jacobian[2, i] = linear
        jacobian[3, i], jacobian[4, i], jacobian[5, i] = turn_back(base, ax, ay, az)


@compiled
def measure_arm(table: np.ndarray, arm: np.ndarray) -> None:
    """Fill an `ARM` record.

    As in SERL, joint positions and velocities are fresh while everything derived from them is what the last physics
    step left behind, one step old.
    """
    a = arm[0]
    q, dq, bias = numbers_at(table[_Q], JOINTS), numbers_at(table[_DQ], JOINTS), numbers_at(table[_BIAS], JOINTS)
    inertia = numba.carray(pointer(table[_INERTIA]), (1 << 30,), np.float64)
    tool_jacobian(table, a.jacobian)
    for i in range(JOINTS):
        a.q[i], a.dq[i], a.bias[i] = q[i], dq[i], bias[i]
        for j in range(JOINTS):
            a.inertia[i, j] = inertia[table[_INDEX + i * JOINTS + j]]
    write_tool_pose(table, a.position, a.rotation)


@compiled
def _command(
    table: np.ndarray,
    arm: np.ndarray,
    target: np.ndarray,
    opspace: np.ndarray,
    impedance: np.ndarray,
    joint: np.ndarray,
    work: np.ndarray,
) -> None:
    """Measure an arm, and give its motors the torques of its law."""
    measure_arm(table, arm)
    law = target[0].law
    if law != target[0].active:
        target[0].active = law
        start_impedance(arm, target, impedance)
        start_joint(arm, joint)
    if law == OPERATIONAL_SPACE:
        opspace_torque(arm, target, opspace, work)
    elif law == CARTESIAN_IMPEDANCE:
        impedance_torque(arm, target, impedance, work)
    else:
        joint_torque(arm, target, joint, work)
    ctrl = numbers_at(table[_CTRL], JOINTS)
    for i in range(JOINTS):
        ctrl[i] = work[0].torque[i]


@compiled
def advance(
    tables: np.ndarray,
    world: np.ndarray,
    arms: np.ndarray,
    targets: np.ndarray,
    opspaces: np.ndarray,
    impedances: np.ndarray,
    joints: np.ndarray,
    works: np.ndarray,
    guard: np.ndarray,
    kept: np.ndarray,
    steps: int,
) -> bool:
    """Run `steps` times: for each arm measure and the law that its `target.law` names, then one physics step.

    The tables of addresses and the records of measurements, targets, laws and scratch space have a row for each arm.

    Returns:
        False when a step failed numerically. It is the last one and is not counted; `kept` holds the last sound state.
    """
    for _ in range(steps):
        for k in range(len(tables)):
            _command(
                tables[k], arms[k : k + 1], targets[k : k + 1], opspaces[k : k + 1], impedances[k : k + 1],
                joints[k : k + 1], works[k : k + 1],
            )  # fmt: skip
        _mj_step(tables[0, _MODEL], tables[0, _DATA])
        if has_warned(guard):
            return False
        keep_state(guard, kept)
        world[0].steps += 1
    return not is_far(guard)
