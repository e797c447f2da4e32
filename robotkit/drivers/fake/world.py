"""`FakeWorld`: a lock-step clock and a table of objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Annotated

import numpy as np
from pydantic import Field

from robotkit.clock import Clock
from robotkit.devices import BaseWorld, CellContext
from robotkit.drivers.fake.device import FakeDevice
from robotkit.drivers.ranges import LAB_M, within
from robotkit.errors import Unsupported
from robotkit.schema import PluginConfig, Pose


class ManualClock(Clock):
    """Time that passes only inside `advance`."""

    def __init__(self, start_s: float = 0.0) -> None:
        self._now_s = start_s

    @property
    def is_lockstep(self) -> bool:
        """True."""
        return True

    def now_s(self) -> float:
        """Sum of all periods so far."""
        return self._now_s

    def advance(self, period_s: float) -> None:
        """Add `period_s` to the time."""
        self._now_s += period_s


class FakeWorldConfig(PluginConfig):
    """Options of the fake world."""

    objects: dict[str, Annotated[Pose, within(LAB_M)]] = Field(default_factory=dict)
    """Home pose (7,) in the base frame, by object name."""


class FakeWorld(FakeDevice, BaseWorld):
    """Objects that stay where they are put, on a clock that waits to be advanced."""

    Config = FakeWorldConfig

    def __init__(self, config: FakeWorldConfig, context: CellContext) -> None:
        super().__init__(config, context)
        self._home_poses = dict(config.objects)
        self._poses = dict(config.objects)
        self._on_reset: list[Callable[[], None]] = []

    @cached_property
    def lockstep_clock(self) -> ManualClock:
        """The clock that every fake device of this cell reads."""
        return ManualClock()

    def call_on_reset(self, callback: Callable[[], None]) -> None:
        """Have `callback` called by each `reset`; fake devices put themselves back with it."""
        self._on_reset.append(callback)

    def object_pose_in_base(self, name: str) -> np.ndarray | None:
        """Pose (7,) of an object; None when there is none of that name."""
        return self._poses.get(name)

    def reset(self, seed: int | None, object_poses_in_base: Mapping[str, np.ndarray]) -> None:
        """Put named objects where asked, all others home, and every fake device to its start.

        Nothing here is random, so `seed` has no effect.

        Raises:
            Unsupported: there is no object of that name.
        """
        self.require_connected()
        unknown = sorted(set(object_poses_in_base) - set(self._home_poses))
        if unknown:
            raise Unsupported(
                f"the fake world has no object {', '.join(map(repr, unknown))}; it has: "
                f"{', '.join(self._home_poses) or 'none'}. Add it to the world's option `objects`"
            )
        self._poses = self._home_poses | dict(object_poses_in_base)
        for callback in self._on_reset:
            callback()


def fake_world(context: CellContext) -> FakeWorld | None:
    """The cell's world, when it is a fake one."""
    return context.world if isinstance(context.world, FakeWorld) else None
