"""`MujocoGripper`: the simulated Robotiq 2F-85."""

from __future__ import annotations

import math

import numpy as np

from robotkit.devices import BaseGripperServer, CellContext
from robotkit.schema import GripperSpec, GripperState, PluginConfig
from sims.devices.base import WorldDevice
from sims.measurements import read_fingers
from sims.models import part_of
from sims.models.robotiq_2f85 import FINGER_CLOSED_RAD, FINGER_JOINT, PAD_THICKNESS_M, WIDTH_MAX_M

CTRL_CLOSED = 255.0
STILL_RAD_S = 0.05
ARRIVED = 0.03
"""Tolerance of the normalised opening; the springs of the linkage keep the servo from its very target."""
REACTION_S = 0.1
"""A command younger than this counts as moving until the fingers arrive: they need a moment to start."""


class MujocoGripper(WorldDevice, BaseGripperServer):
    """Two fingers on one position servo, 0 to 255 as in the device's registers."""

    def __init__(self, config: PluginConfig, context: CellContext) -> None:
        super().__init__(config, context)
        model, data, arm = self.world.model, self.world.data, self.world.arm.name
        joint = model.joint(part_of(arm, FINGER_JOINT)).id
        servo = model.actuator(part_of(arm, "fingers_actuator")).id
        self._ctrl = data.ctrl[servo : servo + 1]
        self._fingers = (
            data.qpos[model.jnt_qposadr[joint] :][:1],
            data.qvel[model.jnt_dofadr[joint] :][:1],
            data.geom_xpos[model.geom(part_of(arm, "right_pad1")).id],
            data.geom_xpos[model.geom(part_of(arm, "left_pad1")).id],
        )
        pads = [f"{side}_{pad}" for side in ("right", "left") for pad in ("pad", "silicone_pad")]
        self._pads = [model.body(part_of(arm, pad)).id for pad in pads]
        self._commanded_s = -math.inf
        self._commanded_after_resets = self.world.resets
        self.spec = GripperSpec(name="mujoco", width_max_m=WIDTH_MAX_M)

    def warm_up(self) -> None:
        """Compile the measurement."""
        self.get_state()

    def get_state(self) -> GripperState:
        """Return the state after the newest physics step; `raw` is the position register, 0 open and 255 closed.

        Raises:
            NotConnected: before `connect()`.
        """
        self.require_connected()
        with self.world.lock:
            stamp_s, angle_rad, speed_rad_s, pad_distance_m = read_fingers(self.world.record, *self._fingers)
            target = 1.0 - self._ctrl.item() / CTRL_CLOSED
            position = min(max(1.0 - angle_rad / FINGER_CLOSED_RAD, 0.0), 1.0)
            is_still = speed_rad_s < STILL_RAD_S
            is_short = position - target > ARRIVED
            is_fresh = (
                stamp_s - self._commanded_s < REACTION_S
                and self._commanded_after_resets == self.world.resets
                and abs(position - target) > ARRIVED
            )
            is_grasping = is_still and is_short and not is_fresh and self._is_touching()
        return GripperState.unchecked(
            stamp_s=stamp_s,
            position=position,
            target_position=target,
            width_m=max(0.0, pad_distance_m - PAD_THICKNESS_M),
            is_moving=is_fresh or not is_still,
            is_grasping=is_grasping,
            raw=CTRL_CLOSED * (1.0 - position),
        )

    def move(self, position: float) -> None:
        """Start to move the fingers and return at once; the newest command wins.

        Raises:
            InvalidCommand: not a number in [0, 1].
            NotConnected: before `connect()`.
        """
        self.require_connected()
        self.require_position(position)
        ctrl = (1.0 - position) * CTRL_CLOSED
        with self.world.lock:
            if ctrl != self._ctrl.item():
                self._commanded_s = self.world.now_s()
                self._commanded_after_resets = self.world.resets
                self._ctrl[0] = ctrl

    def activate(self) -> None:
        """Return at once: a simulated gripper is always ready."""
        self.require_connected()

    def reset(self) -> None:
        """Open the fingers."""
        self.open()

    def _is_touching(self) -> bool:
        """True when both fingers touch something that is not the gripper itself."""
        contact = self.world.data.contact
        bodies = self.world.model.geom_bodyid[contact.geom]
        is_pad = np.isin(bodies, self._pads)
        touched = bodies[is_pad.any(axis=1) & ~is_pad.all(axis=1)]
        return bool(np.isin(self._pads[:2], touched).any() and np.isin(self._pads[2:], touched).any())
