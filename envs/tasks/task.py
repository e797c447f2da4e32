"""`Task`: the contract of a task in a workcell: observations, reward, success and reset."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces

from envs.images import ImageView
from robotkit import InvalidConfiguration, Workcell
from robotkit.errors import error_from_code
from robotkit.schema import CellState

_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Outcome(NamedTuple):
    """A task's evaluation of one state: three facts that are never merged."""

    reward: float
    is_success: bool
    is_terminated: bool
    """The episode ends here because of what happened; running out of time is not the task's business."""
    info: Mapping[str, Any] = _NOTHING
    """Further entries of the env's `info`."""


class Task(ABC):
    """One task: what is observed of a state, what it is worth, and how an episode starts."""

    control_period_s: float
    state_space: spaces.Dict
    """Space of what `observe` returns."""
    image_cameras: tuple[str, ...] = ()
    """Names of the images that are part of the observation."""
    image_views: Mapping[str, ImageView] = _NOTHING
    """Views of the images; one that is not named here is all that the camera of its name sees."""
    image_shape: tuple[int, int] = (128, 128)
    """(height, width) in pixels of the observed images."""
    render_camera: str | None = None
    """The camera that `render` shows; None takes `overview` where the cell has one, else `front`."""
    trackers: tuple[str, ...] = ()
    """Objects whose poses the task must know."""
    useful_trackers: tuple[str, ...] = ()
    """Objects that the task does without in a cell that does not track them. Where one does, the task relies on it."""
    needs_gripper: bool = True

    def require_devices(self, workcell: Workcell) -> None:
        """Raise `InvalidConfiguration` unless the cell has everything that the task needs."""
        missing = [f"a tracker for {name!r}" for name in self.trackers if name not in workcell.trackers]
        seen = {self.view(name).camera: None for name in self.image_cameras}
        missing += [f"a camera {name!r}" for name in seen if name not in workcell.cameras]
        if self.needs_gripper and workcell.gripper is None:
            missing.append("a gripper")
        if missing:
            raise InvalidConfiguration(
                f"{type(self).__name__} cannot be done in cell {workcell.name!r}, which lacks {' and '.join(missing)} "
                f"(its cameras: {', '.join(workcell.cameras) or 'none'}; its trackers: "
                f"{', '.join(workcell.trackers) or 'none'}); "
                "add them to its workcell file or choose another cell"
            )

    def require_measured(self, state: CellState, *, with_objects: bool = True) -> None:
        """Raise the error of a device that could not measure (`CellState.errors`) and that the task needs.

        Args:
            state: of a cell that `require_devices` accepted.
            with_objects: False before a reset, which may be what brings an object back into sight.

        Raises:
            DeviceError, RemoteError: what the device raised; the message names the task and the device.
        """
        if not state.errors:
            return
        needed = ["gripper"] if self.needs_gripper else []
        if with_objects:
            needed += [f"trackers.{name}" for name in (*self.trackers, *self.useful_trackers)]
        for device in needed:
            if device in state.errors:
                report = state.errors[device]
                raise error_from_code(
                    report.code, f"{type(self).__name__} needs the device {device!r}: {report.message}"
                )

    def camera_to_render(self, workcell: Workcell) -> str:
        """Name the camera of the cell that `render` shows."""
        return self.render_camera or ("overview" if "overview" in workcell.cameras else "front")

    def view(self, image: str) -> ImageView:
        """The part of a camera's picture that the observed image `image` shows."""
        return self.image_views.get(image, ImageView(image))

    @abstractmethod
    def reset(self, workcell: Workcell, np_random: np.random.Generator, options: Mapping[str, Any]) -> CellState:
        """Bring the cell to the start of an episode and return its state.

        Args:
            workcell: connected, with everything that `require_devices` asks for.
            np_random: where every random draw comes from.
            options: what the caller fixes instead of leaving it to chance.

        Raises:
            InvalidConfiguration: an option is unknown or malformed.
        """

    @abstractmethod
    def observe(self, state: CellState) -> dict[str, np.ndarray]:
        """A new observation of `state`, an element of `state_space` that shares no memory with `state`."""

    @abstractmethod
    def evaluate(self, state: CellState) -> Outcome:
        """Evaluate `state`."""
