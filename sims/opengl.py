"""`OpenGLRenderer`: images through MuJoCo's off-screen OpenGL; only the thread that made a renderer uses it."""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np

MAX_GEOMS = 2000


class OpenGLRenderer:
    """One GL context and one abstract scene for every camera of `model`.

    Args:
        model: compiled model; its `vis.quality.offsamples` decides about multi-sampling.
        context_class: class of the off-screen GL context.
        is_pretty: with shadows and reflections.
        size_px: largest width and height that will be asked for.
    """

    def __init__(self, model: Any, context_class: type, is_pretty: bool, size_px: tuple[int, int]) -> None:
        model.vis.global_.offwidth, model.vis.global_.offheight = size_px
        self._model = model
        self._gl: Any = context_class(*size_px)
        self._gl.make_current()
        self._context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_150)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._context)
        self._scene = mujoco.MjvScene(model, MAX_GEOMS)
        self._scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = is_pretty
        self._scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = is_pretty
        self._option, self._camera = mujoco.MjvOption(), mujoco.MjvCamera()
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FIXED

    def render(self, data: Any, camera: int, width_px: int, height_px: int) -> np.ndarray:
        """Return an image, uint8 (height, width, 3), of `data` as it is."""
        self._camera.fixedcamid = camera
        mujoco.mjv_updateScene(
            self._model, data, self._option, None, self._camera, mujoco.mjtCatBit.mjCAT_ALL, self._scene
        )
        area = mujoco.MjrRect(0, 0, width_px, height_px)
        mujoco.mjr_render(area, self._scene, self._context)
        image = np.empty((height_px, width_px, 3), np.uint8)
        mujoco.mjr_readPixels(image, None, area, self._context)
        return np.ascontiguousarray(image[::-1])

    def close(self) -> None:
        """Free the GL context; an open one prints errors when the interpreter ends."""
        self._context.free()
        self._gl.free()
