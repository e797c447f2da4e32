"""The poses of arms and objects at the start of an episode."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import mujoco
import numpy as np

from robotkit.errors import InvalidCommand, Unsupported
from robotkit.schema.arrays import Array
from robotkit.spatial import compose, make_pose, wxyz_from_xyzw, xyzw_from_wxyz
from sims.arm import Arms
from sims.models import part_of
from sims.scenes import Scene, grip_name

GRIP_S = 0.5
"""The fingers need 0.25 s to close on a held object, and a little longer to rest."""
_CTRL_CLOSED = 255.0
_GRIPPER = "base"
"""Body of a gripper in the model of an arm."""
OVERLAP_MAX_M = 0.005
"""An object that is put deeper into something else is thrown out of it; a cable on a table sinks in by 4 mm."""
REACH_MAX_M = 10.0
"""Objects are placed within this distance of the base along each axis."""
_POSE = Array(7, unit_quaternion=True)


class Placement:
    """Sets the state of one world; not locked, like `Arm`.

    Args:
        model: compiled model.
        data: its state.
        scene: names the objects and the arms.
        world: `WORLD` record of the physics steps.
    """

    def __init__(self, model: Any, data: Any, scene: Scene, world: np.ndarray) -> None:
        self._model, self._data, self._scene, self._world = model, data, scene, world
        self._scratch: Any = mujoco.MjData(model)

    def checked(self, poses_in_base: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The requested poses as float64, with quaternions of length 1.

        Raises:
            Unsupported: the scene cannot place an object of that name.
            InvalidCommand: a pose is none, or lies far away.
        """
        homes = self._scene.object_homes_in_base
        unknown = sorted(set(poses_in_base) - set(homes))
        if unknown:
            raise Unsupported(f"scene {self._scene.name!r} cannot place {', '.join(unknown)}; it can place "
                              f"{', '.join(homes) or 'nothing'}")  # fmt: skip
        return {name: _checked_pose(name, pose) for name, pose in poses_in_base.items()}

    def require_free(self, poses_in_base: Mapping[str, np.ndarray], held: Iterable[str]) -> None:
        """Raise `InvalidCommand` where objects at these poses would overlap something; nothing is moved.

        Objects that will be held are looked at between the open fingers.
        """
        model, data = self._model, self._scratch
        self._write(data, poses_in_base)
        mujoco.mj_kinematics(model, data)
        for name, pose in self._grip_poses(data, held).items():
            self._place(data, name, pose)
        mujoco.mj_kinematics(model, data)
        mujoco.mj_collision(model, data)
        for contact in data.contact[: data.ncon]:
            if contact.dist < -OVERLAP_MAX_M:
                one, other = (self._describe(geom) for geom in contact.geom)
                raise InvalidCommand(
                    f"in scene {self._scene.name!r} {one} and {other} would overlap by {-1e3 * contact.dist:.0f} mm; "
                    f"at most {1e3 * OVERLAP_MAX_M:.0f} mm is allowed. Place the objects apart; nothing was moved"
                )

    def start(self, poses_in_base: Mapping[str, np.ndarray]) -> None:
        """Put the arms at home with open fingers, and every object at its pose (7,) xyzw or at its home."""
        self._write(self._data, poses_in_base)
        mujoco.mj_forward(self._model, self._data)

    def grip(self, names: Iterable[str], arms: Arms) -> None:
        """Close the fingers on the held objects, which a weld keeps in place meanwhile; no time of the cell passes."""
        model, data = self._model, self._data
        welds = [model.equality(grip_name(name)).id for name in names]
        if not welds:
            return
        for name, pose in self._grip_poses(data, names).items():
            self._place(data, name, pose)
        data.eq_active[welds] = 1
        for weld in welds:
            arm_name = self._gripper(weld).name.removesuffix(_GRIPPER)
            data.ctrl[model.actuator(f"{arm_name}fingers_actuator").id] = _CTRL_CLOSED
        steps = self._world["steps"].copy()
        for arm in arms.values():
            arm.refresh()
            arm.hold()  # by the joint law, which no compliance that a user chose can upset
        arms.advance(round(GRIP_S / model.opt.timestep))
        self._world["steps"] = steps
        data.time = 0.0
        data.eq_active[welds] = model.eq_active0[welds]
        mujoco.mj_forward(model, data)

    def _write(self, data: Any, poses_in_base: Mapping[str, np.ndarray]) -> None:
        mujoco.mj_resetData(self._model, data)
        for arm in self._scene.bases_in_world:
            first = self._model.joint(part_of(arm, "joint1")).qposadr[0]
            data.qpos[first : first + len(self._scene.home_rad)] = self._scene.home_rad
        for name, pose in {**self._scene.object_homes_in_base, **poses_in_base}.items():
            self._place(data, name, pose)

    def _grip_poses(self, data: Any, names: Iterable[str]) -> dict[str, np.ndarray]:
        """Poses (7,) at which the grippers' welds hold objects, where the arm of `data` is."""
        poses = {}
        for name in names:
            weld = self._model.equality(grip_name(name)).id
            gripper, numbers = self._gripper(weld).id, self._model.eq_data[weld]
            gripper_pose = make_pose(data.xpos[gripper], xyzw_from_wxyz(data.xquat[gripper]))
            poses[name] = compose(gripper_pose, make_pose(numbers[3:6], xyzw_from_wxyz(numbers[6:10])))
        return poses

    def _gripper(self, weld: int) -> Any:
        """The gripper's body to which a weld holds an object."""
        return self._model.body(self._model.eq_obj1id[weld])

    def _place(self, data: Any, name: str, pose: np.ndarray) -> None:
        body = self._model.body(name).id
        mocap = self._model.body_mocapid[body]
        if mocap >= 0:
            data.mocap_pos[mocap] = pose[:3]
            data.mocap_quat[mocap] = wxyz_from_xyzw(pose[3:])
        else:
            address = self._model.jnt_qposadr[self._model.body_jntadr[body]]
            data.qpos[address : address + 3] = pose[:3]
            data.qpos[address + 3 : address + 7] = wxyz_from_xyzw(pose[3:])

    def _describe(self, geom: int) -> str:
        body = self._model.body(self._model.geom_bodyid[geom]).name
        return repr(self._model.geom(geom).name if body == "world" else body)


def _checked_pose(name: str, pose: Any) -> np.ndarray:
    try:
        checked = _POSE.validate(pose)
    except ValueError as error:
        raise InvalidCommand(f"the pose of object {name!r} is x y z in m and a quaternion xyzw: {error}") from error
    if np.abs(checked[:3]).max() > REACH_MAX_M:
        raise InvalidCommand(f"object {name!r} cannot be placed at {checked[:3].tolist()} m; along each axis it is at "
                             f"most {REACH_MAX_M:g} m from the base")  # fmt: skip
    return checked
