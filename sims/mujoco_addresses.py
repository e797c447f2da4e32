"""Addresses of the MuJoCo data that compiled code reads, gathered once and passed as one array."""

from __future__ import annotations

from enum import IntEnum, auto
from typing import Any

import numpy as np

from sims.controllers.records import JOINTS
from sims.models import part_of
from sims.models.panda import JOINT_NAMES


class Address(IntEnum):
    """Position of an address in the array; the `WORLD` record is in `sims.physics`."""

    MODEL = 0
    DATA = auto()
    Q = auto()
    DQ = auto()
    SITE_POSITION = auto()
    SITE_ROTATION = auto()
    JOINT_ANCHOR = auto()
    JOINT_AXIS = auto()
    INERTIA = auto()
    BIAS = auto()
    CTRL = auto()
    WRIST_FORCE = auto()
    WRIST_TORQUE = auto()
    WRIST_POSITION = auto()
    WRIST_ROTATION = auto()
    TOOL_COM = auto()
    TOOL_WEIGHT = auto()
    BASE_POSITION = auto()
    BASE_ROTATION = auto()
    INERTIA_INDEX = auto()


ADDRESSES = int(Address.INERTIA_INDEX) + JOINTS * JOINTS


def gather_addresses(model: Any, data: Any, arm: str, tool_weight_n: np.ndarray) -> np.ndarray:
    """Addresses for an arm of `model` and `data`; valid as long as both, and `tool_weight_n`, are alive.

    Args:
        model: compiled model.
        data: its state.
        arm: name of the arm in the scene.
        tool_weight_n: (3,), the gravity force on everything beyond the wrist sensor, in the frame of the world.

    Returns:
        int64 array of shape (ADDRESSES,): an address for each `Address`, then the (7, 7) index of the arm's inertia in
        MuJoCo's sparse inertia array.
    """
    tcp, wrist = (model.site(part_of(arm, name)).id for name in ("pinch", "attachment_site"))
    joints = [model.joint(part_of(arm, name)).id for name in JOINT_NAMES]
    first, base = joints[0], model.body(part_of(arm, "link0")).id
    dofs = [int(model.jnt_dofadr[joint]) for joint in joints]
    arrays = {
        Address.Q: data.qpos[model.jnt_qposadr[first] :],
        Address.DQ: data.qvel[dofs[0] :],
        Address.SITE_POSITION: data.site_xpos[tcp],
        Address.SITE_ROTATION: data.site_xmat[tcp],
        Address.JOINT_ANCHOR: data.xanchor[first:],
        Address.JOINT_AXIS: data.xaxis[first:],
        Address.INERTIA: _inertia_array(data),
        Address.BIAS: data.qfrc_bias[dofs[0] :],
        Address.CTRL: data.ctrl[model.actuator(part_of(arm, "actuator1")).id :],
        Address.WRIST_FORCE: data.sensor(part_of(arm, "wrist_force")).data,
        Address.WRIST_TORQUE: data.sensor(part_of(arm, "wrist_torque")).data,
        Address.WRIST_POSITION: data.site_xpos[wrist],
        Address.WRIST_ROTATION: data.site_xmat[wrist],
        Address.TOOL_COM: data.subtree_com[model.body(part_of(arm, "attachment")).id],
        Address.TOOL_WEIGHT: tool_weight_n,
        Address.BASE_POSITION: data.xpos[base],
        Address.BASE_ROTATION: data.xmat[base],
    }
    table = np.zeros(ADDRESSES, np.int64)
    table[Address.MODEL], table[Address.DATA] = model._address, data._address
    for place, array in arrays.items():
        table[place] = array.ctypes.data
    table[Address.INERTIA_INDEX :] = _inertia_index(model, dofs)
    return table


def _inertia_array(data: Any) -> np.ndarray:
    """The sparse joint-space inertia; `MjData.qM` gave way to `M` in 3.11."""
    array: np.ndarray = data.M if hasattr(data, "M") else data.qM
    return array


def _inertia_index(model: Any, dofs: list[int]) -> np.ndarray:
    """Index (49,) of each entry of the arm's inertia in the lower triangle, in compressed rows, that MuJoCo keeps."""
    index = np.zeros((JOINTS, JOINTS), np.int64)
    for row, dof in enumerate(dofs):
        start = model.M_rowadr[dof]
        for place in range(start, start + model.M_rownnz[dof]):
            column = dofs.index(int(model.M_colind[place]))
            index[row, column] = index[column, row] = place
    return index.ravel()
