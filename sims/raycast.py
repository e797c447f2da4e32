"""`RayCaster`: images without OpenGL, a ray for each pixel and Lambert's law; not photometrically equal to OpenGL."""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np

MAX_DISTANCE_M = 10.0
SKY = np.array((0.12, 0.2, 0.3))
SUN = np.array((0.3, -0.4, 0.87))
AMBIENT, DIFFUSE = 0.5, 0.7
CHECKER_PER_M = 2.0
CHECKER_CONTRAST = 1.5
"""How much brighter the light squares of a plane are."""
# The collision geoms (group 3 and up) of mesh models would hide the visual ones.
_GROUPS = np.array((1, 1, 1, 0, 0, 0), np.uint8)
_HAS_NORMALS = "normal" in (mujoco.mj_multiRay.__doc__ or "")


class RayCaster:
    """Casts the rays of any camera of `model`."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._colours = model.geom_rgba[:, :3].copy()
        has_material = model.geom_matid >= 0
        self._colours[has_material] = model.mat_rgba[model.geom_matid[has_material], :3]
        self._is_plane = model.geom_type == mujoco.mjtGeom.mjGEOM_PLANE
        self._colours[self._is_plane] = (0.1, 0.2, 0.3)
        self._rays: dict[tuple[int, int, int], np.ndarray] = {}

    def render(self, data: Any, camera: int, width_px: int, height_px: int) -> np.ndarray:
        """Return an image, uint8 (height, width, 3), of `data` as it is."""
        rays = self._rays_of(camera, width_px, height_px) @ data.cam_xmat[camera].reshape(3, 3).T
        geom, distance, normal = self._cast(data, data.cam_xpos[camera], rays)
        hit = np.flatnonzero(geom >= 0)
        image = np.tile(SKY, (len(rays), 1))
        points = data.cam_xpos[camera] + rays[hit] * distance[hit, None]
        light = AMBIENT + DIFFUSE * np.abs(normal[hit] @ SUN)
        image[hit] = self._surface(geom[hit], points) * light[:, None]
        return np.clip(image * 255.0, 0.0, 255.0).astype(np.uint8).reshape(height_px, width_px, 3)

    def _surface(self, geom: np.ndarray, points: np.ndarray) -> np.ndarray:
        colours: np.ndarray = self._colours[geom]
        on_plane = np.flatnonzero(self._is_plane[geom])
        squares = np.floor(points[on_plane, :2] * CHECKER_PER_M).sum(axis=1) % 2 > 0
        colours[on_plane[squares]] *= CHECKER_CONTRAST
        return colours

    def _cast(self, data: Any, origin: np.ndarray, rays: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Geom (-1 for none), distance in m and surface normal for each ray."""
        count = len(rays)
        geom, distance, normal = np.full(count, -1, np.int32), np.zeros(count), np.tile(SUN, (count, 1))
        first = (self._model, data, origin, rays.ravel(), _GROUPS, True, -1, geom, distance)
        if _HAS_NORMALS:
            flat = normal.ravel()
            mujoco.mj_multiRay(*first, flat, count, MAX_DISTANCE_M)
            normal = flat.reshape(count, 3)
        else:
            mujoco.mj_multiRay(*first, count, MAX_DISTANCE_M)
        return geom, distance, normal

    def _rays_of(self, camera: int, width_px: int, height_px: int) -> np.ndarray:
        """Unit rays (n, 3) in the camera's frame, which looks along -z with y up."""
        key = (camera, width_px, height_px)
        if key not in self._rays:
            focal = 1.0 / np.tan(np.deg2rad(self._model.cam_fovy[camera]) / 2.0)
            v, u = np.mgrid[0:height_px, 0:width_px]
            x, y = (2 * u + 1 - width_px) / height_px, (height_px - 1 - 2 * v) / height_px
            rays = np.stack([x, y, np.full(x.shape, -focal)], axis=-1).reshape(-1, 3)
            self._rays[key] = rays / np.linalg.norm(rays, axis=1, keepdims=True)
        return self._rays[key]
