"""One generic registry of plugins, with an instance for each kind of device."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import Any, Generic, TypeVar, cast

from pydantic import ValidationError

from robotkit.devices import (
    BaseCamera,
    BaseGripperServer,
    BasePoseTracker,
    BaseRobotServer,
    BaseTeleop,
    BaseWorld,
    CellContext,
    Device,
)
from robotkit.entries import Entry, load_entry, target_of
from robotkit.errors import DuplicatePlugin, InvalidConfiguration, UnknownPlugin
from robotkit.schema import PluginConfig
from robotkit.validation import describe

DeviceT = TypeVar("DeviceT", bound=Device)


class Registry(Generic[DeviceT]):
    """Names of plugin classes; nothing is imported before it is asked for.

    Built-ins are `"module:Class"` strings. Third parties register by decorator, or by an entry point in the group
    `robotkit.<kind>s`.
    """

    def __init__(self, kind: str, contract: type, builtins: Mapping[str, str] | None = None) -> None:
        self.kind = kind
        self.contract = contract
        self._entries: dict[str, Entry] = dict(builtins or {})
        self._scanned = False

    def register(self, name: str) -> Callable[[type[DeviceT]], type[DeviceT]]:
        """Decorate a class to register it under `name`.

        Raises:
            DuplicatePlugin: another class has the name. Registering the same class again changes nothing.
        """

        def decorate(cls: type[DeviceT]) -> type[DeviceT]:
            self._add(name, cls)
            return cls

        return decorate

    def names(self) -> list[str]:
        """Every registered name, sorted; imports no plugin."""
        self._scan()
        return sorted(self._entries)

    def get(self, name: str) -> type[DeviceT]:
        """Import and return the class registered under `name`.

        Raises:
            UnknownPlugin: no such name; the message suggests the nearest.
            MissingExtra: its vendor package is not installed.
            InvalidConfiguration: what is registered is not a body of the contract.
        """
        self._scan()
        if name not in self._entries:
            near = difflib.get_close_matches(name, self._entries, n=1, cutoff=0.5)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise UnknownPlugin(f"no {self.kind} is named {name!r}.{hint} Known: {', '.join(self.names()) or 'none'}")
        cls = load_entry(self.kind, name, self._entries[name])
        if not (isinstance(cls, type) and issubclass(cls, self.contract)):
            raise InvalidConfiguration(
                f"{self.kind} {name!r} is registered as {cls!r}, which is not a subclass of {self.contract.__name__}"
            )
        return cast("type[DeviceT]", cls)

    def make(self, name: str, context: CellContext | None = None, /, **options: Any) -> DeviceT:
        """Build the plugin `name` with `options`, checked by its own `Config`.

        Raises:
            InvalidConfiguration: an option is unknown, missing or out of range; every one is named.
        """
        cls = self.get(name)
        return cls(self.validate(name, options), context or CellContext(name=name))

    def validate(self, name: str, options: Mapping[str, Any]) -> PluginConfig:
        """Check `options` against the plugin's `Config` without building it."""
        cls = self.get(name)
        try:
            return cls.Config.model_validate(dict(options))
        except ValidationError as error:
            raise InvalidConfiguration(f"{self.kind} {name!r}: {describe(error, cls.Config)}") from error

    def _add(self, name: str, entry: Entry) -> None:
        present = self._entries.get(name)
        if present is not None and present is not entry:
            raise DuplicatePlugin(f"a {self.kind} named {name!r} is registered already ({target_of(present)}); "
                                  f"choose another name for {target_of(entry)}")  # fmt: skip
        self._entries[name] = entry

    def _scan(self) -> None:
        if self._scanned:
            return
        self._scanned = True
        for point in entry_points(group=f"robotkit.{self.kind}s"):
            present = self._entries.get(point.name)
            if present is None or target_of(present) != point.value:
                self._add(point.name, point)


worlds: Registry[BaseWorld] = Registry("world", BaseWorld, {"fake": "robotkit.drivers.fake:FakeWorld"})
robots: Registry[BaseRobotServer] = Registry(
    "robot",
    BaseRobotServer,
    {"fake": "robotkit.drivers.fake:FakeRobot", "franka": "robotkit.drivers.franka:FrankaRobot"},
)
grippers: Registry[BaseGripperServer] = Registry(
    "gripper",
    BaseGripperServer,
    {
        "fake": "robotkit.drivers.fake:FakeGripper",
        "franka_hand": "robotkit.drivers.franka:FrankaHand",
        "robotiq": "robotkit.drivers.robotiq:RobotiqGripper",
    },
)
cameras: Registry[BaseCamera] = Registry(
    "camera",
    BaseCamera,
    {
        "fake": "robotkit.drivers.fake:FakeCamera",
        "opencv": "robotkit.drivers.opencv_camera:OpenCvCamera",
        "realsense": "robotkit.drivers.realsense:RealSenseCamera",
    },
)
trackers: Registry[BasePoseTracker] = Registry(
    "tracker",
    BasePoseTracker,
    {
        "apriltag": "robotkit.drivers.apriltag:AprilTagTracker",
        "fake": "robotkit.drivers.fake:FakePoseTracker",
    },
)
teleops: Registry[BaseTeleop] = Registry(
    "teleop",
    BaseTeleop,
    {
        "fake": "robotkit.drivers.fake:FakeTeleop",
        "gamepad": "robotkit.drivers.teleop.gamepad:Gamepad",
        "keyboard": "robotkit.drivers.teleop.keyboard:Keyboard",
        "spacemouse": "robotkit.drivers.teleop.spacemouse:SpaceMouse",
    },
)

ALL: tuple[Registry[Any], ...] = (worlds, robots, grippers, cameras, trackers, teleops)
"""Every registry."""
