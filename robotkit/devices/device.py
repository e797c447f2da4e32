"""`Device`: the life cycle that every device shares."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import ClassVar, Self

from robotkit.devices.context import CellContext
from robotkit.errors import NotConnected
from robotkit.schema import PluginConfig


class Device(ABC):
    """Something that is connected, used and disconnected.

    A plugin subclasses one of the contracts, gives itself a `Config` and takes `(config, context)`. Constructors touch
    no hardware: that is `connect()`'s.
    """

    Config: ClassVar[type[PluginConfig]] = PluginConfig
    """The options of this plugin. A workcell file is checked against it before anything moves."""

    def __init__(self, config: PluginConfig, context: CellContext) -> None:
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
        self.disconnect()
