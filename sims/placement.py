"""Where arm and objects are at the start of an episode."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import mujoco
import numpy as np

from robotkit.errors import Unsupported
from robotkit.spatial import compose, make_pose, wxyz_from_xyzw, xyzw_from_wxyz
from sims.arm import Arm
from sims.controllers.records import JOINTS
from sims.scenes import Scene, grip_name

GRIP_S = 0.5
"""The fingers need 0.25 s to close on a held object, and a little longer to rest."""
_CTRL_CLOSED = 255.0


class Placement:
    """Sets the state of one world; not locked, like `Arm`.

    Args:
        model: compiled model.
        data: its state.
        scene: names the objects.
        world: `WORLD` record of the physics steps.
    """

    def __init__(self, model: Any, data: Any, scene: Scene, world: np.ndarray) -> None:
        self._model, self._data, self._scene, self._world = model, data, scene, world

    def require_known(self, names: Iterable[str]) -> None:
        """Raise `Unsupported` unless the scene can place every object of these names."""
        homes = self._scene.object_homes_in_base
        unknown = sorted(set(names) - set(homes))
        if unknown:
            raise Unsupported(f"scene {self._scene.name!r} cannot place {', '.join(unknown)}; it can place "
                              f"{', '.join(homes) or 'nothing'}")  # fmt: skip

    def start(self, poses_in_base: Mapping[str, np.ndarray]) -> None:
        """Put the arm at home with open fingers, and every object at its pose (7,) xyzw or at its home."""
        mujoco.mj_resetData(self._model, self._data)
        self._data.qpos[:JOINTS] = self._scene.home_rad
        for name, pose in {**self._scene.object_homes_in_base, **poses_in_base}.items():
            self._place(name, pose)
        mujoco.mj_forward(self._model, self._data)

    def grip(self, names: Iterable[str], arm: Arm) -> None:
        """Close the fingers on the held objects, which a weld keeps in place meanwhile; no time of the cell passes."""
        model, data = self._model, self._data
        welds = [model.equality(grip_name(name)).id for name in names]
        if not welds:
            return
        base = model.body("base").id
        base_pose = make_pose(data.xpos[base], xyzw_from_wxyz(data.xquat[base]))
        for name, weld in zip(names, welds, strict=True):
            numbers = model.eq_data[weld]
            self._place(name, compose(base_pose, make_pose(numbers[3:6], xyzw_from_wxyz(numbers[6:10]))))
        data.eq_active[welds] = 1
        data.ctrl[model.actuator("fingers_actuator").id] = _CTRL_CLOSED
        steps = self._world["steps"].copy()
        arm.restart()
        arm.advance(round(GRIP_S / model.opt.timestep))
        self._world["steps"] = steps
        data.time = 0.0
        data.eq_active[welds] = model.eq_active0[welds]
        mujoco.mj_forward(model, data)

    def _place(self, name: str, pose: np.ndarray) -> None:
        body = self._model.body(name).id
        mocap = self._model.body_mocapid[body]
        if mocap >= 0:
            self._data.mocap_pos[mocap] = pose[:3]
            self._data.mocap_quat[mocap] = wxyz_from_xyzw(pose[3:])
        else:
            address = self._model.jnt_qposadr[self._model.body_jntadr[body]]
            self._data.qpos[address : address + 3] = pose[:3]
            self._data.qpos[address + 3 : address + 7] = wxyz_from_xyzw(pose[3:])
