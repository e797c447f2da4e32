"""The floor under everything: law and physics in one compiled loop, and what devices and cameras add to it."""

from __future__ import annotations

import gc
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

import robotkit as rk
from sims.raycast import RayCaster
from sims.render import NoOpenGL

Row = dict[str, Any]
PERIOD_S = 0.02
ROW = 10
"""Calls in a row: few enough to fit between two interruptions by other processes."""


def run(quick: bool) -> list[Row]:
    """Measure on this machine: rows of name, value, unit and note."""
    repeats = 3 if quick else 10
    with rk.make_workcell("mujoco-pick-cube") as cell:
        cell.reset(0)
        return [*_stepping(cell, repeats), *_devices(cell, repeats), *_cameras(cell, repeats)]


def _best_s(function: Callable[[], object], calls: int, repeats: int) -> float:
    """Seconds of one call, in the best of several rows of calls: the others were disturbed."""
    function()
    gc.disable()
    try:
        return min(_row_s(function, calls) for _ in range(repeats)) / calls
    finally:
        gc.enable()


def _row_s(function: Callable[[], object], calls: int) -> float:
    start_s = time.perf_counter()
    for _ in range(calls):
        function()
    return time.perf_counter() - start_s


def _stepping(cell: rk.Workcell, repeats: int) -> list[Row]:
    """Control steps of 20 ms: the bare loop, and through the cell, in turns on one trajectory."""
    arm = cell.world.arm  # type: ignore[union-attr]
    pose = cell.robot.get_state().tcp_pose_in_base.copy()
    pose[3:] = (1.0, 0.0, 0.0, 0.0)
    command = rk.PoseCommand.unchecked(kind="pose", tcp_pose_in_base=pose)
    fingers = rk.GripperCommand.unchecked(position=1.0)

    def rows(function: Callable[[], object]) -> float:
        cell.reset(0)
        cell.step(command, fingers, PERIOD_S)
        return _best_s(function, ROW, 10)

    bare_s, cell_s = [], []
    for _ in range(repeats):
        bare_s.append(rows(lambda: arm.advance(10)))
        cell_s.append(rows(lambda: cell.step(command, fingers, PERIOD_S)))
    bare, through_cell = min(bare_s), min(cell_s)
    return [
        _row("bare law + physics", 1.0 / bare, "steps/s", "10 x (law + mj_step) of 2 ms in one compiled call"),
        _row("workcell.step", 1.0 / through_cell, "steps/s", "the same with safety layer, devices and messages"),
        _row("workcell.step overhead", 1e6 * (through_cell - bare), "µs", "per control step"),
        _row("real-time factor, 1 core", PERIOD_S / bare, "x", "how much faster than the wall the physics could be"),
    ]


def _devices(cell: rk.Workcell, repeats: int) -> list[Row]:
    robot: Any = cell.robot
    while hasattr(robot, "inner"):
        robot = robot.inner
    pose = robot.get_state().tcp_pose_in_base
    command = rk.PoseCommand.unchecked(kind="pose", tcp_pose_in_base=pose)
    calls: list[tuple[str, Callable[[], object]]] = [
        ("robot.get_state", robot.get_state),
        ("robot.send", lambda: robot.send(command)),
        ("robot.send, safe", lambda: cell.robot.send(command)),
        ("cell.get_state", cell.get_state),
    ]
    return [_row(name, 1e6 * _best_s(call, 100, 10 * repeats), "µs", "") for name, call in calls]


def _cameras(cell: rk.Workcell, repeats: int) -> list[Row]:
    """Observations of two 128 x 128 images."""

    def look() -> None:
        for camera in cell.cameras.values():
            camera.read()

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", NoOpenGL)
        seconds = _best_s(look, 1, 5 * repeats)
    how = "rays: no OpenGL here" if caught else "OpenGL"
    return [
        _row("two cameras", 1.0 / seconds, "obs/s", how),
        _row("two cameras by rays", 1.0 / _best_s(_rays(cell), 1, 5 * repeats), "obs/s", "the fallback without OpenGL"),
    ]


def _rays(cell: rk.Workcell) -> Callable[[], list[np.ndarray]]:
    world: Any = cell.world
    caster = RayCaster(world.model)
    cameras = [world.model.camera(name).id for name in ("front", "handcam_depth")]
    return lambda: [caster.render(world.data, camera, 128, 128) for camera in cameras]


def _row(name: str, value: float, unit: str, note: str) -> Row:
    return {"name": name, "value": value, "unit": unit, "note": note}
