"""`Arm`: the target, the laws and the measurements of one simulated arm; `Arms`: those of a world, run in one call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from robotkit.schema import ComplianceParams
from robotkit.spatial import compose, make_pose, wxyz_from_xyzw, xyzw_from_wxyz
from sims.controllers.impedance import impedance_record, set_compliance
from sims.controllers.joint import BANDWIDTH_RAD_S, joint_record
from sims.controllers.opspace import opspace_params
from sims.controllers.records import ARM, JOINT_IMPEDANCE, JOINTS, OPERATIONAL_SPACE, TARGET, WORK, record
from sims.measurements import STATE_SIZE, read_arm
from sims.models import part_of
from sims.models.panda import VELOCITY_MAX_RAD_S
from sims.mujoco_addresses import gather_addresses
from sims.physics import advance, measure_arm
from sims.soundness import Soundness

_NOT_STARTED = -1
_AT_ORIGIN = np.array((0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0))


class Arm:
    """An arm of the simulation. It is not locked: its world calls it with the lock held.

    Poses, twists and Jacobians are told in the frame of its own base.

    Args:
        model: compiled model.
        data: its state.
        name: of the arm in the scene.
        world: `WORLD` record of the physics steps.
        home_rad: joint positions (7,) that the null space of the pose laws pulls to.
    """

    def __init__(self, model: Any, data: Any, name: str, world: np.ndarray, home_rad: np.ndarray) -> None:
        period_s = float(model.opt.timestep)
        self.name = name
        self.pose_law = OPERATIONAL_SPACE
        """The law that follows pose targets."""
        self._data = data
        self._world = world
        self._home_rad = home_rad
        base, first = model.body(part_of(name, "link0")), model.joint(part_of(name, "joint1"))
        self.base_in_world = make_pose(base.pos, xyzw_from_wxyz(base.quat))
        """Pose (7,) of the arm's base in the frame of the world."""
        self.base = (data.xpos[base.id], data.xmat[base.id])
        """Position (3,) and rotation matrix (9,) of the base, in MuJoCo's memory."""
        self._is_at_origin = bool((self.base_in_world == _AT_ORIGIN).all())
        self._ranges_rad = model.jnt_range[first.id : first.id + JOINTS].T
        self.positions_rad = data.qpos[first.qposadr[0] :][:JOINTS]
        """Joint positions (7,), in MuJoCo's memory."""
        self._velocities_rad_s = data.qvel[first.dofadr[0] :][:JOINTS]
        self._bias_nm = data.qfrc_bias[first.dofadr[0] :][:JOINTS]
        self._ctrl = data.ctrl[model.actuator(part_of(name, "actuator1")).id :][:JOINTS]
        self._tool_weight_n = model.body_subtreemass[model.body(part_of(name, "attachment")).id] * model.opt.gravity
        self.table = gather_addresses(model, data, name, self._tool_weight_n)
        """Addresses that compiled code reads, (ADDRESSES,)."""
        joint = joint_record(period_s, np.array(VELOCITY_MAX_RAD_S))
        records = (record(ARM), record(TARGET), opspace_params(), impedance_record(period_s), joint, record(WORK))
        self.bind(records)

    def bind(self, records: tuple[np.ndarray, ...]) -> None:
        """Keep measurement, target, laws and scratch space in these records, of one element each."""
        self.records = records
        self._measured, self._target, _, self._impedance, *_ = records
        self._position = self._target["position"][0]
        self._quaternion = self._target["quaternion"][0]
        self._joints = self._target["joints"][0]
        self._integral = self._impedance["integral"][0]

    def in_world(self, pose_in_base: np.ndarray) -> np.ndarray:
        """A pose (7,) in the frame of the world; that of an arm at its origin stays as it is, to the last bit."""
        return pose_in_base if self._is_at_origin else compose(self.base_in_world, pose_in_base)

    def measure(self) -> np.ndarray:
        """A new state vector, laid out as `sims.measurements` says."""
        out = np.empty(STATE_SIZE)
        read_arm(self.table, self._world, self._measured, out)
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
        rest_rad = self.positions_rad + self._velocities_rad_s / BANDWIDTH_RAD_S
        self.follow_joints(np.clip(rest_rad, *self._ranges_rad))
        self._target["active"] = _NOT_STARTED

    def support(self) -> None:
        """Let the motors carry the arm's weight, as they do before the first command."""
        self._ctrl[:] = self._bias_nm

    def refresh(self) -> None:
        """Take what is in MuJoCo's memory as the newest measurement, without a physics step."""
        measure_arm(self.table, self._measured)

    def restart(self) -> None:
        """Forget all memory and make the measured pose the target of the Cartesian law."""
        self.refresh()
        self._target["law"] = self._target["active"] = _NOT_STARTED
        self.follow_pose(self.measure()[1:8])

    def set_compliance(self, params: ComplianceParams) -> None:
        """Change the impedance law's parameters, also while it runs."""
        set_compliance(self._impedance, params)


class Arms(Mapping[str, Arm]):
    """The arms of a world by name, which one compiled call commands and simulates.

    Args:
        arms: of one world.
        world: `WORLD` record of the physics steps.
        soundness: watches the numbers of the world.
    """

    def __init__(self, arms: list[Arm], world: np.ndarray, soundness: Soundness) -> None:
        self._arms = {arm.name: arm for arm in arms}
        self._tables = np.stack([arm.table for arm in arms])
        self._records = tuple(np.concatenate(parts) for parts in zip(*(arm.records for arm in arms), strict=True))
        for number, arm in enumerate(arms):
            arm.bind(tuple(records[number : number + 1] for records in self._records))
        self._world = world
        self._watch = (soundness.guard, soundness.kept)

    def __getitem__(self, name: str) -> Arm:
        return self._arms[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arms)

    def __len__(self) -> int:
        return len(self._arms)

    def advance(self, steps: int) -> bool:
        """Run laws and physics `steps` times, without the interpreter lock; False when the numbers are not sound."""
        is_sound: bool = advance(self._tables, self._world, *self._records, *self._watch, steps)
        return is_sound
