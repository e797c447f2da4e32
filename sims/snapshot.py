"""`Snapshot`: the poses of all bodies of a world at one moment, for renderers that must not hold its lock."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import mujoco

# What MuJoCo's abstract visualiser and its ray casts read; all of it is derived from the positions.
_FIELDS = (
    "qpos", "xpos", "xquat", "xmat", "xipos", "ximat", "xanchor", "xaxis", "geom_xpos", "geom_xmat", "site_xpos",
    "site_xmat", "cam_xpos", "cam_xmat", "light_xpos", "light_xdir", "subtree_com",
)  # fmt: skip


class Snapshot:
    """A private copy of the positions in a world.

    Args:
        model: compiled model.
        data: the world's data, which other threads change.
        lock: what they hold while they do.
        now_s: the world's time.
    """

    def __init__(self, model: Any, data: Any, lock: AbstractContextManager[Any], now_s: Callable[[], float]) -> None:
        self.model = model
        self.data: Any = mujoco.MjData(model)
        self._lock, self._now_s = lock, now_s
        self._pairs = [(getattr(self.data, name), getattr(data, name)) for name in _FIELDS]

    def take(self) -> float:
        """Copy the present positions and return their stamp in s."""
        with self._lock:
            for mine, theirs in self._pairs:
                mine[:] = theirs
            return self._now_s()
