"""Checks that the commands of a task lie within the limits of a cell."""

from __future__ import annotations

from itertools import product

import numpy as np

from robotkit import InvalidConfiguration, Workcell, spatial
from robotkit.schema import WorkspaceBox
from robotkit.schema.kinematics import Plane
from robotkit.workspace import BoxBounds

_ROUNDING = 1.0 + 1e-9
_TOLERANCE_M = 1e-6
_DOWN = np.array((1.0, 0.0, 0.0, 0.0))


def require_fit(
    task: str,
    workcell: Workcell,
    workspace: WorkspaceBox,
    longest_step_m: float,
    longest_step_rad: float,
    period_s: float,
) -> None:
    """Raise `InvalidConfiguration` where the cell's safety limits would refuse the task's targets.

    Now, and not in the middle of a training run. Orientations are compared at the corners of the task's box; a task
    that leaves them free in a cell that bounds them does not fit.

    Args:
        task: its name, for the error.
        workcell: the cell.
        workspace: where the task's targets are.
        longest_step_m: longest way between two targets.
        longest_step_rad: largest turn between two targets.
        period_s: time between two targets.
    """
    limits = workcell.limits
    problems = []
    if limits.max_translation_step_m is not None and longest_step_m > limits.max_translation_step_m:
        problems.append(f"steps of up to {longest_step_m:.4f} m (allowed: {limits.max_translation_step_m} m)")
    if limits.max_rotation_step_rad is not None and longest_step_rad > limits.max_rotation_step_rad:
        problems.append(f"turns of up to {longest_step_rad:.3f} rad (allowed: {limits.max_rotation_step_rad} rad)")
    problems += _too_fast(longest_step_m / period_s, limits.max_tcp_speed_m_s, "m/s")
    problems += _too_fast(longest_step_rad / period_s, limits.max_tcp_rotation_speed_rad_s, "rad/s")
    problems += _beyond(workspace, limits.planes)
    if limits.workspace is not None:
        problems += _outside(workspace, limits.workspace)
    if problems:
        raise InvalidConfiguration(
            f"{task} asks for {' and '.join(problems)} in cell {workcell.name!r}; make the task's workspace, scales or "
            "speeds smaller, or widen the cell's limits"
        )


def _too_fast(asked: float, allowed: float | None, unit: str) -> list[str]:
    if allowed is None or asked <= allowed * _ROUNDING:
        return []
    return [f"targets that move at up to {asked:.3f} {unit} (allowed: {allowed} {unit})"]


def _beyond(inner: WorkspaceBox, planes: tuple[Plane, ...]) -> list[str]:
    corners = np.array(list(product(*zip(inner.position_min_m, inner.position_max_m, strict=True))))
    before_m = {plane.name: (corners - plane.point_in_base_m) @ plane.normal_in_base for plane in planes}
    return [
        f"targets {before_m[plane.name].min():.3f} m before plane {plane.name!r} (allowed: {plane.clearance_m} m)"
        for plane in planes
        if before_m[plane.name].min() < plane.clearance_m - _TOLERANCE_M
    ]


def _outside(inner: WorkspaceBox, outer: WorkspaceBox) -> list[str]:
    if inner.reference_quaternion_xyzw is None and outer.reference_quaternion_xyzw is not None:
        reach_rad = np.minimum(outer.rotation_vector_max_rad, -outer.rotation_vector_min_rad)
        if (reach_rad < np.pi).any():
            return ["any orientation of the tool, which the cell bounds"]
    test = BoxBounds(outer)
    for pose in _corners(inner, outer):
        if not test.contains(pose.tolist()):
            return [f"targets outside the cell's workspace ({test.describe(pose.tolist())})"]
    return []


def _corners(box: WorkspaceBox, outer: WorkspaceBox) -> list[np.ndarray]:
    reference = box.reference_quaternion_xyzw
    if reference is None:
        free = outer.reference_quaternion_xyzw
        turned = [_DOWN if free is None else free]
    else:
        vectors = product(*zip(box.rotation_vector_min_rad, box.rotation_vector_max_rad, strict=True))
        origin = spatial.make_pose(np.zeros(3), reference)
        turned = [spatial.integrate_delta(origin, np.zeros(3), np.array(vector))[3:] for vector in vectors]
    positions = product(*zip(box.position_min_m, box.position_max_m, strict=True))
    return [spatial.make_pose(np.array(position), quaternion) for position in positions for quaternion in turned]
