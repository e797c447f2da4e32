"""Holes with straight walls and a chamfered mouth, made of boxes: solid geometry that MuJoCo can collide with."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from robotkit.spatial import wxyz_from_xyzw
from sims.scenes.furniture import HARD, SLIPPERY

Colour = tuple[float, float, float, float]
_SLAB_M = 0.0005
"""Half the thickness of the slab that makes a chamfer's face; what is behind it is wall."""


@dataclass(frozen=True)
class Hole:
    """A regular polygonal hole; its mouth is at height 0 of the body that it is cut into, and opens upwards."""

    apothem_m: float
    """Distance of each wall from the axis."""
    depth_m: float
    chamfer_m: float
    wall_m: float
    """Thickness of the material around it."""
    sides: int = 4
    """4 makes a square hole with walls across x and y, 16 a nearly round one."""


def add_hole(
    body: Any, hole: Hole, centre_m: tuple[float, float] = (0.0, 0.0), colour: Colour = (0.3, 0.5, 0.3, 1.0)
) -> None:
    """Add the material around `hole` to `body`, with the hole's axis at `centre_m`."""
    width = math.tan(math.pi / hole.sides)
    widths_m = ((hole.apothem_m + hole.wall_m) * width, (hole.apothem_m + hole.chamfer_m) * width)
    for side in range(hole.sides):
        _add_side(body, hole, np.array((*centre_m, 0.0)), 2.0 * math.pi * side / hole.sides, widths_m, colour)


def add_slot(body: Any, slot: Hole, half_length_m: float, colour: Colour) -> None:
    """Add two walls along x with a gap between them, open at both ends; the middle of the mouth is at the origin."""
    for angle_rad in (math.pi / 2, -math.pi / 2):
        _add_side(body, slot, np.zeros(3), angle_rad, (half_length_m, half_length_m), colour)


def add_rectangular_hole(body: Any, hole: Hole, half_length_m: float, colour: Colour) -> None:
    """Add the material around a rectangular hole, with its axis at the origin.

    Args:
        body: gets the geometry.
        hole: its walls across y; `sides` has no meaning.
        half_length_m: distance of the walls across x from the axis.
        colour: of the material.
    """
    outer_m = half_length_m + hole.wall_m
    for angle_rad in (math.pi / 2, -math.pi / 2):
        _add_side(body, hole, np.zeros(3), angle_rad, (outer_m, half_length_m + hole.chamfer_m), colour)
    across = replace(hole, apothem_m=half_length_m)
    for angle_rad in (0.0, math.pi):
        _add_side(body, across, np.zeros(3), angle_rad, (hole.apothem_m, hole.apothem_m + hole.chamfer_m), colour)


def _add_side(
    body: Any, hole: Hole, mouth_m: np.ndarray, angle_rad: float, half_widths_m: tuple[float, float], colour: Colour
) -> None:
    """Wall below the chamfer, wall behind it and the chamfer's face, as seen along x, turned by the angle.

    The half widths are the walls' and the face's.
    """
    h, c, t = hole.apothem_m, hole.chamfer_m, hole.wall_m
    wall_m, face_m = half_widths_m
    turn = Rotation.from_rotvec((0.0, 0.0, angle_rad))

    def add(centre: tuple[float, float], size: tuple[float, float, float], tilt_rad: float = 0.0) -> None:
        position = mouth_m + turn.apply((centre[0], 0.0, centre[1]))
        quaternion = (turn * Rotation.from_rotvec((0.0, tilt_rad, 0.0))).as_quat()
        body.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=size, pos=position, quat=wxyz_from_xyzw(quaternion),
                      rgba=colour, friction=SLIPPERY, **HARD)  # fmt: skip

    add((h + t / 2, -(c + hole.depth_m) / 2), (t / 2, wall_m, (hole.depth_m - c) / 2))
    add((h + (c + t) / 2, -c / 2), ((t - c) / 2, wall_m, c / 2))
    sunk = _SLAB_M / math.sqrt(2.0)
    add((h + c / 2 + sunk, -c / 2 - sunk), (c / math.sqrt(2.0), face_m, _SLAB_M), -math.pi / 4)
