"""The simulated arm: MuJoCo contacts as an external wrench, and fingers that something can stand between."""

from __future__ import annotations

from xml.etree.ElementTree import SubElement

import mujoco
import numpy as np
from franky_sim.mujoco_simulator import FrankaMujocoRobot, MujocoSimulator

TABLE_TOP_M = 0.25
STABLE_DAMPING = (450.0, 450.0, 350.0, 350.0, 40.0, 40.0, 40.0)
"""Of the joints' position control. franky-sim's own 200 is too much for the light wrist at 1 kHz: it never rests."""

_FLANGE_IN_LINK7_M = np.array((0.0, 0.0, 0.107))


class ContactRobot(FrankaMujocoRobot):
    """Adds the wrench that contacts cause, the weight of the load, and an object between the fingers."""

    object_width_m = 0.0
    _root = -1
    _flange = -1
    _pushed = 0
    _push_n = np.zeros(3)
    _prefix = ""

    def tool_in_base(self, joint_positions_rad: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Position (3,) of the tool centre point and its Jacobian (6, 7), both in the base frame."""
        position_m = self.kinematics(joint_positions_rad).translation.copy()
        jacobian = np.zeros((6, self._model.nv))
        mujoco.mj_jac(self._model, self._data, jacobian[:3], jacobian[3:], position_m, self._flange)
        return position_m, jacobian[:, self._dof_addrs]

    def set_hand_goal(self, width: float, max_velocity: float, max_force: float) -> None:
        """Close no further than the object."""
        super().set_hand_goal(max(width, self.object_width_m), max_velocity, max_force)

    def wrench_on_tool_in_base(self, tcp_position_m: np.ndarray) -> np.ndarray:
        """Force and torque (6,) that everything outside the arm exerts on it, about the tool centre point."""
        wrench, local = np.zeros(6), np.zeros(6)
        for index in range(self._data.ncon if self._data is not None else 0):
            contact = self._data.contact[index]
            is_own = [self._is_own(geom) for geom in (contact.geom1, contact.geom2)]
            if is_own[0] == is_own[1]:
                continue
            mujoco.mj_contactForce(self._model, self._data, index, local)
            force = contact.frame.reshape(3, 3).T @ local[:3] * (1.0 if is_own[1] else -1.0)
            wrench += np.concatenate((force, np.cross(contact.pos - tcp_position_m, force)))
        return wrench

    def push(self, force_in_base_n: np.ndarray, body: str) -> None:
        """Push on a body's centre of mass with a force (3,) from now on; the arm's own estimate does not see it."""
        self._pushed = int(self._model.body(f"{self._prefix}{body}").id)
        self._push_n = force_in_base_n

    def _pre_step(self) -> None:
        """The load that the arm was told about hangs on it, as a tool that was mounted before."""
        super()._pre_step()
        if self._data is None:
            return
        self._data.xfrc_applied[:] = 0.0
        weight_n = self.m_load * self._model.opt.gravity
        lever_m = self._data.xmat[self._flange].reshape(3, 3) @ (self.F_x_Cload + _FLANGE_IN_LINK7_M)
        lever_m -= self._data.xipos[self._flange] - self._data.xpos[self._flange]
        self._data.xfrc_applied[self._flange] = np.concatenate((weight_n, np.cross(lever_m, weight_n)))
        self._data.xfrc_applied[self._pushed, :3] += self._push_n

    def _attach_to_scene(self, model: mujoco.MjModel, data: mujoco.MjData, prefix: str) -> None:
        super()._attach_to_scene(model, data, prefix)
        joint = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_JOINT, f"{prefix}fr3_joint1")
        self._prefix = prefix
        self._root = model.body_rootid[model.jnt_bodyid[joint]]
        self._flange = model.jnt_bodyid[mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_JOINT, f"{prefix}fr3_joint7")]

    def _is_own(self, geom: int) -> bool:
        return bool(self._model.body_rootid[self._model.geom_bodyid[geom]] == self._root)


def add_table(simulator: MujocoSimulator) -> None:
    """Add something to press on, its top at `TABLE_TOP_M`."""
    size_m, centre_m = "0.4 0.4 0.05", f"0.5 0 {TABLE_TOP_M - 0.05}"
    SubElement(simulator.worldbody, "geom", name="table", type="box", size=size_m, pos=centre_m)
