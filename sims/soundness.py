"""`Soundness`: the check of a world's numbers, and the last state that passed it."""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np

from sims.controllers.compiled import compiled
from sims.controllers.records import record
from sims.pointers import integers_at, numbers_at

COORDINATE_MAX = 100.0
"""Metres or radians. No joint turns that far and no object belongs that far away: it was thrown there by an error."""

GUARD = np.dtype(
    [
        ("position", "i8"), ("velocity", "i8"), ("start", "i8"), ("sensors", "i8"), ("warnings", "i8"),
        ("positions", "i8"), ("velocities", "i8"), ("sensor_values", "i8"), ("warning_stride", "i8"),
    ]
)  # fmt: skip
"""Addresses of MuJoCo's positions, velocities, warm start, sensors and warning counts, and how many there are."""

WARNINGS = len(mujoco.mjtWarning.__members__) - 1


@compiled
def keep_state(guard: np.ndarray, kept: np.ndarray) -> None:
    """Copy positions, velocities, warm start and sensors to `kept`."""
    g, n = guard[0], 0
    position, velocity = numbers_at(g.position, g.positions), numbers_at(g.velocity, g.velocities)
    start, sensors = numbers_at(g.start, g.velocities), numbers_at(g.sensors, g.sensor_values)
    for i in range(g.positions):
        kept[i] = position[i]
    n = g.positions
    for i in range(g.velocities):
        kept[n + i], kept[n + g.velocities + i] = velocity[i], start[i]
    n += 2 * g.velocities
    for i in range(g.sensor_values):
        kept[n + i] = sensors[i]


@compiled
def has_warned(guard: np.ndarray) -> bool:
    """True when MuJoCo has counted a warning of any kind since its last reset."""
    g = guard[0]
    counts = integers_at(g.warnings, WARNINGS * g.warning_stride)
    total = 0
    for i in range(WARNINGS):
        total |= counts[i * g.warning_stride]
    return total != 0


@compiled
def is_far(guard: np.ndarray) -> bool:
    """True when a coordinate is beyond `COORDINATE_MAX`, or no number."""
    g = guard[0]
    position = numbers_at(g.position, g.positions)
    is_near = True
    for i in range(g.positions):
        is_near &= abs(position[i]) <= COORDINATE_MAX
    return not is_near


class Soundness:
    """A watch over the numbers of a world, not locked, like `Arm`.

    Compiled code looks for warnings after each physics step, and copies a sound state.

    Args:
        model: compiled model. MuJoCo's own answer to a numerical failure, a silent reset, is switched off in it.
        data: its state.
    """

    def __init__(self, model: Any, data: Any) -> None:
        model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_AUTORESET
        self._model, self._data = model, data
        counts = data.warning.number
        self.guard = record(GUARD)
        for name, array in (("position", data.qpos), ("velocity", data.qvel), ("start", data.qacc_warmstart),
                            ("sensors", data.sensordata), ("warnings", counts)):  # fmt: skip
            self.guard[name] = array.ctypes.data
        self.guard["positions"], self.guard["velocities"] = model.nq, model.nv
        self.guard["sensor_values"] = model.nsensordata
        self.guard["warning_stride"] = counts.strides[0] // counts.itemsize
        self.kept = np.zeros(model.nq + 2 * model.nv + model.nsensordata)
        """The last sound state: positions, velocities, warm start and sensors."""

    def keep(self) -> None:
        """Take the present state as the last sound one."""
        keep_state(self.guard, self.kept)

    def problem(self) -> str | None:
        """The fault in the numbers of the world, or None."""
        for kind, count in enumerate(self._data.warning.number):
            if count:
                return self._describe(mujoco.mjtWarning(kind), int(self._data.warning[kind].lastinfo))
        far = np.flatnonzero(~(np.abs(self._data.qpos) <= COORDINATE_MAX))
        if far.size:
            joint = self._joint_name(self._model.jnt_qposadr, int(far[0]))
            return f"joint {joint!r} is at {self._data.qpos[far[0]]:.3g} (m or rad), which no body of a scene can reach"
        return None

    def restore(self) -> None:
        """Go back to the last sound state, so that everything can still be measured.

        The accelerations are not evaluated: what failed may be in them. The sensors keep their last values.
        """
        model, data = self._model, self._data
        positions, velocities = model.nq, model.nv
        data.qpos[:] = self.kept[:positions]
        data.qvel[:] = self.kept[positions : positions + velocities]
        data.qacc_warmstart[:] = self.kept[positions + velocities : positions + 2 * velocities]
        mujoco.mj_fwdPosition(model, data)
        mujoco.mj_fwdVelocity(model, data)
        data.sensordata[:] = self.kept[positions + 2 * velocities :]

    def _describe(self, kind: Any, index: int) -> str:
        warning = mujoco.mjtWarning
        if kind in (warning.mjWARN_CONTACTFULL, warning.mjWARN_CNSTRFULL):
            return f"there are more contacts than its memory holds ({kind.name}): objects overlap"
        if kind == warning.mjWARN_BADCTRL:
            return f"the control law gave actuator {self._model.actuator(index).name!r} no finite torque ({kind.name})"
        starts = self._model.jnt_qposadr if kind == warning.mjWARN_BADQPOS else self._model.jnt_dofadr
        what = {
            warning.mjWARN_INERTIA: "inertia",
            warning.mjWARN_BADQPOS: "position",
            warning.mjWARN_BADQVEL: "velocity",
            warning.mjWARN_BADQACC: "acceleration",
        }.get(kind, "state")
        return f"the {what} of joint {self._joint_name(starts, index)!r} is huge or no number ({kind.name})"

    def _joint_name(self, starts: np.ndarray, index: int) -> str:
        joint = int(np.searchsorted(starts, index, side="right")) - 1
        return str(self._model.joint(joint).name)
