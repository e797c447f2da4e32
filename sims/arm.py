"""`Arm`: the targets and laws of one simulated arm, and the compiled call that runs them."""

from __future__ import annotations

from typing import Any

import numpy as np

from robotkit.schema import ComplianceParams
from robotkit.spatial import wxyz_from_xyzw
from sims.controllers.impedance import impedance_record, set_compliance
from sims.controllers.joint import BANDWIDTH_RAD_S, joint_record
from sims.controllers.opspace import opspace_params
from sims.controllers.records import ARM, JOINT_IMPEDANCE, JOINTS, OPERATIONAL_SPACE, TARGET, WORK, record
from sims.measurements import STATE_SIZE, read_arm
from sims.models.panda import VELOCITY_MAX_RAD_S
from sims.mujoco_addresses import gather_addresses
from sims.physics import advance, measure_arm
from sims.soundness import Soundness

_NOT_STARTED = -1


class Arm:
    """An arm of the simulation. It is not locked: its world calls it with the lock held.

    Args:
        model: compiled model.
        data: its state.
        world: `WORLD` record of the physics steps.
        home_rad: joint positions (7,) that the null space of the pose laws pulls to.
        soundness: watches the numbers of the world.
    """

    def __init__(self, model: Any, data: Any, world: np.ndarray, home_rad: np.ndarray, soundness: Soundness) -> None:
        period_s = float(model.opt.timestep)
        self.pose_law = OPERATIONAL_SPACE
        """The law that follows pose targets."""
        self._data = data
        self._world = world
        self._home_rad = home_rad
        self._ranges_rad = model.jnt_range[:JOINTS].T
        self._tool_weight_n = model.body_subtreemass[model.body("attachment").id] * model.opt.gravity
        self._table = gather_addresses(model, data, self._tool_weight_n)
        self._target = record(TARGET)
        self._impedance = impedance_record(period_s)
        joint = joint_record(period_s, np.array(VELOCITY_MAX_RAD_S))
        self._laws = (record(ARM), self._target, opspace_params(), self._impedance, joint, record(WORK))
        self._watch = (soundness.guard, soundness.kept)
        self._position = self._target["position"][0]
        self._quaternion = self._target["quaternion"][0]
        self._joints = self._target["joints"][0]
        self._integral = self._impedance["integral"][0]

    def advance(self, steps: int) -> bool:
        """Run law and physics `steps` times, without the interpreter lock; False when the numbers are not sound."""
        is_sound: bool = advance(self._table, self._world, *self._laws, *self._watch, steps)
        return is_sound

    def measure(self) -> np.ndarray:
        """A new state vector, laid out as `sims.measurements` says."""
        out = np.empty(STATE_SIZE)
        read_arm(self._table, self._world, self._laws[0], out)
        return out

    def follow_pose(self, pose_in_base: np.ndarray) -> None:
        """Make `pose_in_base` (7,) xyzw the target of the arm's Cartesian law."""
        self._position[:] = pose_in_base[:3]
        self._quaternion[:] = wxyz_from_xyzw(pose_in_base[3:])
        # SERL's controller forgets its error integral at every new target.
        self._integral[:] = 0.0
        if self._target["law"][0] != self.pose_law:
            self._joints[:] = self._home_rad
            self._target["law"] = self.pose_law

    def follow_joints(self, positions_rad: np.ndarray) -> None:
        """Make `positions_rad` (7,) the target of the joint law."""
        self._joints[:] = positions_rad
        self._target["law"] = JOINT_IMPEDANCE

    def hold(self) -> None:
        """Brake: the target of the joint law is where the joints come to rest without turning back, in 0.2 s."""
        rest_rad = self._data.qpos[:JOINTS] + self._data.qvel[:JOINTS] / BANDWIDTH_RAD_S
        self.follow_joints(np.clip(rest_rad, *self._ranges_rad))
        self._target["active"] = _NOT_STARTED

    def support(self) -> None:
        """Let the motors carry the arm's weight, as they do before the first command."""
        self._data.ctrl[:JOINTS] = self._data.qfrc_bias[:JOINTS]

    def refresh(self) -> None:
        """Take what is in MuJoCo's memory as the newest measurement, without a physics step."""
        measure_arm(self._table, self._laws[0])

    def restart(self) -> None:
        """Forget all memory and make the measured pose the target of the Cartesian law."""
        self.refresh()
        self._target["law"] = self._target["active"] = _NOT_STARTED
        self.follow_pose(self.measure()[1:8])

    def set_compliance(self, params: ComplianceParams) -> None:
        """Change the impedance law's parameters, also while it runs."""
        set_compliance(self._impedance, params)
