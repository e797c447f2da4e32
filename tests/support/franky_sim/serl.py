"""`SerlArm`: the simulated arm under SERL's own impedance law, to hold the driver's behaviour against."""

from __future__ import annotations

import copy

import mujoco
import numpy as np
from franky_sim.mujoco_simulator import MujocoSimulator

from robotkit import ComplianceParams
from robotkit.spatial import make_pose, quaternion_from_matrix, wxyz_from_xyzw
from sims.controllers.impedance import impedance_record, impedance_torque, set_compliance, start_impedance
from sims.controllers.records import ARM, CARTESIAN_IMPEDANCE, TARGET, WORK, record

_PERIOD_S = 1e-3


class SerlArm:
    """The same physics as behind the protocol, and the law that the simulated Panda runs too.

    Args:
        joint_positions_rad: start, at rest; the measured pose there is the first target, as in the driver.
        params: the impedance law.
    """

    def __init__(self, joint_positions_rad: np.ndarray, params: ComplianceParams) -> None:
        self._simulator = MujocoSimulator()
        self._robot = self._simulator.add_robot(initial_q=joint_positions_rad)
        self._simulator.init()
        self._simulator.start()
        self._model, self._data = self._simulator.model, self._simulator.data
        self._weightless = copy.copy(self._model)
        self._weightless.opt.gravity[:] = 0.0
        joint = self._model.joint("robot0_fr3_joint7")
        self._hand, self._dofs = int(joint.bodyid[0]), np.array(self._robot._dof_addrs)
        self._arm, self._target, self._work = record(ARM), record(TARGET), record(WORK)
        self._law = impedance_record(_PERIOD_S)
        set_compliance(self._law, params)
        self._measure()
        self._target["joints"] = joint_positions_rad
        self._target["law"] = CARTESIAN_IMPEDANCE
        self.approach(self.pose_at(joint_positions_rad))
        start_impedance(self._arm, self._target, self._law)

    def pose_at(self, joint_positions_rad: np.ndarray) -> np.ndarray:
        """Pose (7,) of the tool centre point in any configuration."""
        pose = self._robot.kinematics(np.asarray(joint_positions_rad))
        return make_pose(pose.translation, quaternion_from_matrix(pose.rotation))

    def approach(self, pose: np.ndarray) -> None:
        """Make `pose` (7,) the target."""
        self._target["position"], self._target["quaternion"] = pose[:3], wxyz_from_xyzw(pose[3:])

    def advance(self, cycles: int) -> np.ndarray:
        """Run law and physics for `cycles` milliseconds; returns the measured pose (7,)."""
        for _ in range(cycles):
            self._measure()
            impedance_torque(self._arm, self._target, self._law, self._work)
            self._robot.torque_control(self._work["torque"][0])
            self._simulator.step()
        return self.pose_at(self._robot.inner_state.q)

    def _measure(self) -> None:
        """Fill the `ARM` record from the newest positions and speeds; its bias is Coriolis alone."""
        mujoco.mj_fwdPosition(self._model, self._data)
        mujoco.mj_fwdVelocity(self._model, self._data)
        state = self._robot.inner_state
        pose = self._robot.kinematics(state.q)
        jacobian, bias = np.zeros((6, self._model.nv)), np.zeros(self._model.nv)
        mujoco.mj_jac(self._model, self._data, jacobian[:3], jacobian[3:], pose.translation, self._hand)
        mujoco.mj_rne(self._weightless, self._data, 0, bias)
        arm = self._arm
        arm["q"], arm["dq"] = state.q, state.dq
        arm["position"], arm["rotation"] = pose.translation, pose.rotation.flatten()
        arm["jacobian"], arm["bias"] = jacobian[:, self._dofs], bias[self._dofs]
