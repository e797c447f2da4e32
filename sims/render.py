"""`Renderer`: images of a world for any thread, through OpenGL where it works and by ray casting elsewhere."""

from __future__ import annotations

import os
import warnings
from concurrent.futures import ThreadPoolExecutor

import mujoco
import numpy as np

from sims.gl import APT_LINE, context_class
from sims.opengl import OpenGLRenderer
from sims.raycast import RayCaster
from sims.snapshot import Snapshot


class NoOpenGL(UserWarning):
    """Warning that there is no OpenGL here; images come from casting rays."""


class Renderer:
    """All images of one world, drawn by one thread of its own.

    A GL context belongs to one thread; a server reads cameras from many. So one thread is made for drawing at the first
    image, and no other ever touches OpenGL.

    Args:
        snapshot: of the world to draw.
        is_pretty: with shadows and reflections, where there is OpenGL.
    """

    def __init__(self, snapshot: Snapshot, is_pretty: bool) -> None:
        self._snapshot = snapshot
        self._is_pretty = is_pretty
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="mujoco-render")
        self._backend: OpenGLRenderer | RayCaster | None = None
        self._size_px = (0, 0)

    def render(self, camera: int, width_px: int, height_px: int) -> tuple[float, np.ndarray]:
        """Draw the world as it is now: its stamp in s and an image, uint8 (height, width, 3)."""
        return self._thread.submit(self._draw, camera, width_px, height_px).result()

    def close(self) -> None:
        """Free the GL context, in its own thread, and end that thread."""
        self._thread.submit(self._drop).result()
        self._thread.shutdown()

    def _draw(self, camera: int, width_px: int, height_px: int) -> tuple[float, np.ndarray]:
        is_larger = width_px > self._size_px[0] or height_px > self._size_px[1]
        if self._backend is None or (is_larger and isinstance(self._backend, OpenGLRenderer)):
            self._drop()
            self._size_px = (max(width_px, self._size_px[0]), max(height_px, self._size_px[1]))
            self._backend = self._make_backend()
        stamp_s = self._snapshot.take()
        return stamp_s, self._backend.render(self._snapshot.data, camera, width_px, height_px)

    def _make_backend(self) -> OpenGLRenderer | RayCaster:
        gl_class = context_class()
        if gl_class is not None:
            try:
                return OpenGLRenderer(self._snapshot.model, gl_class, self._is_pretty, self._size_px)
            except (AttributeError, RuntimeError, mujoco.FatalError) as error:
                _warn(f"OpenGL was found but does not work ({error})")
                return RayCaster(self._snapshot.model)
        _warn("there is no OpenGL on this machine")
        return RayCaster(self._snapshot.model)

    def _drop(self) -> None:
        backend, self._backend = self._backend, None
        if isinstance(backend, OpenGLRenderer):
            backend.close()


def _warn(reason: str) -> None:
    chosen = os.environ.get("MUJOCO_GL")
    hint = f" (MUJOCO_GL={chosen!r})" if chosen else ""
    text = f"{reason}{hint}; cameras cast rays instead, which looks plainer. For OpenGL: {APT_LINE}"
    warnings.warn(text, NoOpenGL, stacklevel=2)
