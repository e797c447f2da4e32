"""Compiled measurements: one call for the measurement of each device."""

from __future__ import annotations

import math

import numpy as np

from sims.controllers.compiled import compiled
from sims.controllers.records import JOINTS
from sims.controllers.rotation import quaternion_of
from sims.mujoco_addresses import Address
from sims.physics import tool_jacobian, write_pose_in_base, write_tool_pose
from sims.pointers import numbers_at

STATE_SIZE = 77
"""Stamp 1, pose 7 (xyzw), twist 6, wrench 6, joint positions 7 and velocities 7, Jacobian 42, fastest joint 1."""
_POSE, _TWIST, _WRENCH, _Q, _DQ, _JACOBIAN, _FASTEST = 1, 8, 14, 20, 27, 34, 76

_POSITION, _ROTATION = int(Address.SITE_POSITION), int(Address.SITE_ROTATION)
_FORCE, _TORQUE = int(Address.WRIST_FORCE), int(Address.WRIST_TORQUE)
_WRIST_POSITION, _WRIST_ROTATION = int(Address.WRIST_POSITION), int(Address.WRIST_ROTATION)
_COM, _WEIGHT = int(Address.TOOL_COM), int(Address.TOOL_WEIGHT)


@compiled
def now_s(world: np.ndarray) -> float:
    """Time of the cell in s at the end of the last physics step."""
    time_s: float = world[0].origin + world[0].steps * world[0].period
    return time_s


@compiled
def read_arm(table: np.ndarray, world: np.ndarray, arm: np.ndarray, out: np.ndarray) -> None:
    """Fill `out` (STATE_SIZE,) with the arm's state at the beginning of the last physics step.

    That is when MuJoCo evaluates its sensors, and what SERL reports. Joint positions and velocities are those that the
    law measured then, so that the twist is the Jacobian times the joint velocities to the last bit.
    """
    a, rotation = arm[0], np.empty(9)
    jacobian = out[_JACOBIAN : _JACOBIAN + 6 * JOINTS].reshape(6, JOINTS)
    tool_jacobian(table, jacobian)
    out[0] = now_s(world)
    write_tool_pose(table, out[_POSE : _POSE + 3], rotation)
    write_quaternion_xyzw(rotation, out[_POSE + 3 : _POSE + 7])
    _wrench_on_tool(table, out[_WRENCH : _WRENCH + 6])
    fastest = 0.0
    for i in range(JOINTS):
        out[_Q + i], out[_DQ + i] = a.q[i], a.dq[i]
        fastest = max(fastest, abs(a.dq[i]))
    for r in range(6):
        velocity = 0.0
        for i in range(JOINTS):
            velocity += jacobian[r, i] * a.dq[i]
        out[_TWIST + r] = velocity
    out[_FASTEST] = fastest


@compiled
def read_body(
    world: np.ndarray,
    base_position: np.ndarray,
    base_rotation: np.ndarray,
    position: np.ndarray,
    rotation: np.ndarray,
    out: np.ndarray,
) -> None:
    """Fill `out` (8,) with stamp, position and quaternion xyzw of a body in the frame of a base.

    MuJoCo's rotations are matrices (9,) in the frame of the world.
    """
    turned = np.empty(9)
    out[0] = now_s(world)
    write_pose_in_base(base_position, base_rotation, position, rotation, out[1:4], turned)
    write_quaternion_xyzw(turned, out[4:8])


@compiled
def read_fingers(
    world: np.ndarray, angle: np.ndarray, speed: np.ndarray, right: np.ndarray, left: np.ndarray
) -> tuple[float, float, float, float]:
    """Stamp in s, angle in rad and speed in rad/s of the driving joint, and distance of the pads' centres in m."""
    x, y, z = right[0] - left[0], right[1] - left[1], right[2] - left[2]
    return now_s(world), angle[0], abs(speed[0]), math.sqrt(x * x + y * y + z * z)


@compiled
def write_quaternion_xyzw(rotation: np.ndarray, out: np.ndarray) -> None:
    """Write the quaternion of a matrix (9,), scalar last."""
    quaternion_of(rotation, out)
    w = out[0]
    out[0], out[1], out[2], out[3] = out[1], out[2], out[3], w


@compiled
def _wrench_on_tool(table: np.ndarray, out: np.ndarray) -> None:
    """Wrench of the environment on the tool, in the tool frame and about the tool point.

    The wrist sensor gives what the arm exerts on everything beyond it. Without the weight of the tool, the environment
    exerts the opposite; the inertia force of an accelerated tool stays in the reading, as with a real sensor.
    """
    R, wrist, tool = numbers_at(table[_WRIST_ROTATION], 9), numbers_at(table[_WRIST_POSITION], 3), table[_POSITION]
    force, torque = numbers_at(table[_FORCE], 3), numbers_at(table[_TORQUE], 3)
    com, weight, tcp = numbers_at(table[_COM], 3), numbers_at(table[_WEIGHT], 3), numbers_at(tool, 3)
    fx, fy, fz = _turned(R, force)
    tx, ty, tz = _turned(R, torque)
    cx, cy, cz = com[0] - wrist[0], com[1] - wrist[1], com[2] - wrist[2]
    tx, ty, tz = (
        -tx - (cy * weight[2] - cz * weight[1]),
        -ty - (cz * weight[0] - cx * weight[2]),
        -tz - (cx * weight[1] - cy * weight[0]),
    )
    fx, fy, fz = -fx - weight[0], -fy - weight[1], -fz - weight[2]
    ax, ay, az = wrist[0] - tcp[0], wrist[1] - tcp[1], wrist[2] - tcp[2]
    tx, ty, tz = tx + ay * fz - az * fy, ty + az * fx - ax * fz, tz + ax * fy - ay * fx
    T = numbers_at(table[_ROTATION], 9)
    for i in range(3):
        out[i] = T[i] * fx + T[3 + i] * fy + T[6 + i] * fz
        out[3 + i] = T[i] * tx + T[3 + i] * ty + T[6 + i] * tz


@compiled
def _turned(R: np.ndarray, vector: np.ndarray) -> tuple[float, float, float]:
    return (
        R[0] * vector[0] + R[1] * vector[1] + R[2] * vector[2],
        R[3] * vector[0] + R[4] * vector[1] + R[5] * vector[2],
        R[6] * vector[0] + R[7] * vector[1] + R[8] * vector[2],
    )
