"""`BaseWorld`: the contract of a world that several devices of one cell share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping

import numpy as np

from robotkit.clock import Clock
from robotkit.devices.device import Device
from robotkit.meeting import Meeting


class BaseWorld(Device):
    """A simulation, or another object that several devices share; it is connected first and disconnected last.

    A world that keeps its own time provides the cell's clock for `clock = "lockstep"`. One that has several arms, each
    in a cell of its own, is joined by the second cell's world: its context has the first cell's as `world`.
    """

    when_reset_by_another: Callable[[], object] | None = None
    """Called after a reset that a cell which shares the world asked for without this one; set by the cell."""

    @property
    def meeting(self) -> Meeting | None:
        """Where the cells that share this world meet, with their worlds as members; None where it cannot be shared."""
        return None

    @property
    @abstractmethod
    def lockstep_clock(self) -> Clock | None:
        """The clock that runs this world step by step; None for a world that has only real time."""

    @abstractmethod
    def reset(self, seed: int | None, object_poses_in_base: Mapping[str, np.ndarray]) -> None:
        """Bring the world to its start.

        Args:
            seed: seeds whatever the world randomises itself; None goes on with the present generator.
            object_poses_in_base: pose (7,) by object name; objects that are not named go to their home.

        Raises:
            Unsupported: an object of that name cannot be placed.
        """
