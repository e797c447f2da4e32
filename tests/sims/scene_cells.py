"""Cells of the scenes of SERL's and HIL-SERL's real tasks, and how the scene tests drive them."""

from __future__ import annotations

import numpy as np

import robotkit as rk

CELLS = (
    "mujoco-peg-insertion", "mujoco-pcb-insertion", "mujoco-bin-relocation", "mujoco-cable-routing",
    "mujoco-ram-insertion", "mujoco-usb-pickup-insertion",
)  # fmt: skip
HELD = {
    "mujoco-peg-insertion": "peg", "mujoco-pcb-insertion": "component", "mujoco-cable-routing": "cable",
    "mujoco-ram-insertion": "module",
}  # fmt: skip
"""What the fingers hold after a reset, by cell."""
DOWN = np.array((1.0, 0.0, 0.0, 0.0))
QUARTER_TURN = np.array((np.sqrt(0.5), np.sqrt(0.5), 0.0, 0.0))
"""Gripper down, fingers along x."""
STIFF = rk.ComplianceParams(
    translational_stiffness_n_m=3000.0, rotational_stiffness_nm=300.0, rotational_damping_nms_rad=9.0,
    translational_ki=0.1, rotational_ki=0.1,
)  # fmt: skip
"""SERL's parameters for moves without contact."""


def approach(
    cell: rk.Workcell,
    position_m: np.ndarray,
    duration_s: float,
    quaternion: np.ndarray = DOWN,
    opening: float | None = None,
) -> rk.CellState:
    """Go towards a position in steps of at most 5 cm each 0.1 s, gripper down, and ask for an opening."""
    state = cell.get_state()
    fingers = None if opening is None else rk.GripperCommand(position=opening)
    for _ in range(round(duration_s / 0.1)):
        here = state.robot.tcp_pose_in_base[:3]
        way = np.asarray(position_m) - here
        target = here + way * min(1.0, 0.05 / max(float(np.linalg.norm(way)), 1e-9))
        state = cell.step(rk.PoseCommand(tcp_pose_in_base=np.concatenate((target, quaternion))), fingers, 0.1)
    return state


def push(cell: rk.Workcell, direction_m: np.ndarray, duration_s: float = 1.0) -> rk.CellState:
    """Ask for a point that far from where the tool is now, for a while."""
    target = cell.get_state().robot.tcp_pose_in_base.copy()
    target[:3] += direction_m
    for _ in range(round(duration_s / 0.1)):
        state = cell.step(rk.PoseCommand(tcp_pose_in_base=target), None, 0.1)
    return state


def require_little_penetration(cell: rk.Workcell) -> None:
    """Hard parts overlap by less than 0.3 mm at this moment; rubber fingertips and the cable by less than 0.5 mm."""
    model, data = cell.world.model, cell.world.data
    for contact in data.contact[: data.ncon]:
        names = [model.body(model.geom_bodyid[geom]).name for geom in contact.geom]
        limit_m = 5e-4 if any("_pad" in name or "link_" in name for name in names) else 3e-4
        assert -contact.dist < limit_m, names
