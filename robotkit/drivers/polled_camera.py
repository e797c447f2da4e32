"""`PolledCamera`: the base class of cameras with a reader thread."""

from __future__ import annotations

from robotkit.devices import BaseCamera, CellContext
from robotkit.drivers.frames import FrameConfig
from robotkit.drivers.polling import Poller, Source
from robotkit.schema import CameraSpec, Frame, Intrinsics

_FIRST_FRAME_S = 5.0
"""A USB camera may take seconds to open and to find its exposure."""


class PolledCamera(BaseCamera):
    """A thread reads the camera; `read` hands out a copy of the newest frame and never waits.

    A camera that stops is opened again by the thread; until it is back, `read` raises `StaleState`, or `DeviceFault`
    when it sent pictures that do not fit the spec.
    """

    def __init__(self, config: FrameConfig, context: CellContext, source: Source[Frame]) -> None:
        super().__init__(config, context)
        self._frames = config
        self._poller = Poller(
            source,
            f"camera {context.name!r}",
            max_age_s=config.max_age_s,
            silence_s=config.silence_s,
            age_s=lambda frame: context.clock.now_s() - frame.stamp_s,
        )
        self._describe(None)

    @property
    def is_connected(self) -> bool:
        """True between `connect()` and `disconnect()`."""
        return self._poller.is_running

    def connect(self) -> None:
        """Open the camera and wait for its first frame.

        Raises:
            ConnectionFailed: it does not open, or sends no frame.
            DeviceFault: its pictures do not fit the spec.
        """
        self._poller.start(wait_s=_FIRST_FRAME_S)

    def disconnect(self) -> None:
        """Close the camera."""
        self._poller.stop()

    def read(self) -> Frame:
        """A copy of the newest frame.

        Raises:
            StaleState: it was exposed, or arrived, longer ago than allowed.
            DeviceFault: the camera sends pictures that do not fit the spec.
        """
        self.require_connected()
        frame = self._poller.newest()
        depth_m = None if frame.depth_m is None else frame.depth_m.copy()
        return Frame.unchecked(stamp_s=frame.stamp_s, rgb=frame.rgb.copy(), depth_m=depth_m)

    def _describe(self, intrinsics: Intrinsics | None) -> None:
        """Set the spec; the size is known from the options, the intrinsics sometimes only from the device."""
        width, height = self._frames.delivered_px
        self.spec = CameraSpec(name=self.context.name, width_px=width, height_px=height, intrinsics=intrinsics)
