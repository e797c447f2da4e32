"""The base class of the devices of a simulated world: they are connected while the world is."""

from __future__ import annotations

from robotkit.devices import CellContext, Device
from robotkit.schema import PluginConfig
from sims.world import MujocoWorld, require_world


class WorldDevice(Device):
    """A device that lives in `world`; mixed in before its contract."""

    answers_at_once = True
    world: MujocoWorld

    def __init__(self, config: PluginConfig, context: CellContext) -> None:
        super().__init__(config, context)
        self.world = require_world(context, type(self).__name__)
        self._connected = False

    @property
    def is_connected(self) -> bool:
        """True between `connect()` and `disconnect()`."""
        return self._connected

    def require_connected(self) -> None:
        """Raise `NotConnected` before `connect()`, and `DeviceFault` when the world has failed."""
        if not self._connected:
            super().require_connected()
        self.world.require_sound()

    def connect(self) -> None:
        """Enter the world, which is connected first if it was not."""
        self.world.connect()
        self._connected = True
        self.warm_up()

    def warm_up(self) -> None:
        """Compile once what has to be compiled, so that no control loop waits for a compiler."""

    def disconnect(self) -> None:
        """Leave the world; it goes on for the others."""
        self._connected = False
