"""`Device`: the life cycle that every device shares, and `DeviceContext`, its name and its clock."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from types import TracebackType
from typing import ClassVar, Self

from robotkit.clock import Clock, RealClock
from robotkit.devices.first_cause import noted_on
from robotkit.errors import NotConnected
from robotkit.schema import PluginConfig


@dataclass(frozen=True)
class DeviceContext:
    """The name and the time of a device; the default is a lone device on the wall's clock."""

    name: str = "device"
    """The device's name in its cell ("front" for `[cameras.front]`)."""
    clock: Clock = field(default_factory=RealClock)
    is_lockstep: bool = False
    """True when a world, which is built before its cell's clock, has to provide that clock."""


class Device(ABC):
    """A device: it is connected, used and disconnected.

    A plugin subclasses one of the contracts, gives itself a `Config` and takes `(config, context)`. Constructors touch
    no hardware: that is `connect()`'s. A workcell hands them a `CellContext`, which also has the devices built before.
    """

    Config: ClassVar[type[PluginConfig]] = PluginConfig
    """The options of this plugin. A workcell file is checked against it before anything moves."""
    answers_at_once: ClassVar[bool] = False
    """True of a gripper or tracker whose readings and targets never wait for the device: a thread of its own asks it.

    The others are asked in another thread on a clock that runs by itself, so that a step waits for none that hangs."""

    def __init__(self, config: PluginConfig, context: DeviceContext) -> None:
        self.config = config
        self.context = context

    @property
    @abstractmethod
    def is_connected(self) -> bool:
        """True between `connect()` and `disconnect()`."""

    @abstractmethod
    def connect(self) -> None:
        """Open the device. Connecting twice changes nothing.

        Raises:
            ConnectionFailed: the device does not answer.
            MissingExtra: its vendor package is not installed.
        """

    @abstractmethod
    def disconnect(self) -> None:
        """Leave the device in a safe state and close it. Disconnecting twice changes nothing."""

    def require_connected(self) -> None:
        """Raise `NotConnected` unless the device is connected."""
        if not self.is_connected:
            raise NotConnected(f"{type(self).__name__} is not connected; call connect() or use it in a `with` block")

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        with noted_on(error):
            self.disconnect()
