"""The settings of the control box before control starts: thresholds, load and tool, and their check in its packets."""

from __future__ import annotations

from typing import Any

import franky
import numpy as np

from robotkit.drivers.franka.config import FrankaLoad, FrankaRobotConfig
from robotkit.drivers.franka.kinematics import chain
from robotkit.schema import RobotSpec
from robotkit.spatial import matrix_from_quaternion

_NO_LOAD = FrankaLoad(mass_kg=0.0)
_SINGLE_PRECISION = 1e-5
"""Tolerance of numbers from packets, which carry single precision."""


def apply(arm: Any, config: FrankaRobotConfig) -> None:
    """Tell the control box of `arm` (a `franky.Robot`); what the configuration leaves out is put back to nothing.

    A tool or load that an earlier client left behind would otherwise move every pose, or every torque.
    """
    load = config.load or _NO_LOAD
    arm.set_collision_behavior(config.collision_torque_nm.tolist(), config.collision_force_n.tolist())
    arm.set_load(load.mass_kg, load.centre_of_mass_in_flange_m.tolist(), _column_major(load.inertia_kg_m2))
    arm.set_ee(_column_major(_tool(config)))


def is_shown(state: franky.RobotState, config: FrankaRobotConfig) -> bool:
    """True when a packet shows the tool and the load of `config`."""
    load = config.load or _NO_LOAD
    pairs = (
        (state.NE_T_EE.matrix, _tool(config)),
        (state.m_load, load.mass_kg),
        (state.F_x_Cload, load.centre_of_mass_in_flange_m),
        (state.I_load, load.inertia_kg_m2),
    )
    return all(np.allclose(shown, told, rtol=_SINGLE_PRECISION, atol=_SINGLE_PRECISION) for shown, told in pairs)


def with_tool(spec: RobotSpec, state: franky.RobotState) -> RobotSpec:
    """The arm's spec with its kinematics up to the tool centre point that a packet shows."""
    tool = state.F_T_EE
    tcp_in_flange = np.concatenate((tool.translation, tool.quaternion))
    return spec.model_copy(update={"kinematics": chain(tcp_in_flange / _lengths(tcp_in_flange), has_hand=True)})


def _lengths(pose: np.ndarray) -> np.ndarray:
    """Return the divisors of a pose of single precision that is to have a quaternion of length 1."""
    return np.array((1.0,) * 3 + (float(np.linalg.norm(pose[3:])),) * 4)


def _tool(config: FrankaRobotConfig) -> np.ndarray:
    """Tool centre point in the nominal end effector, as a matrix (4, 4)."""
    matrix, pose = np.eye(4), config.tcp_in_nominal_end_effector
    if pose is not None:
        matrix[:3, :3], matrix[:3, 3] = matrix_from_quaternion(pose[3:]), pose[:3]
    return matrix


def _column_major(matrix: np.ndarray) -> list[float]:
    flat: list[float] = matrix.flatten(order="F").tolist()
    return flat
