"""One generic registry of plugins, with an instance for each kind of device."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points
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
from robotkit.errors import ConfigurationError, DuplicatePlugin, InvalidConfiguration, MissingExtra, UnknownPlugin
from robotkit.schema import PluginConfig
from robotkit.validation import describe

DeviceT = TypeVar("DeviceT", bound=Device)
Entry = type | str | EntryPoint

EXTRA_OF_MODULE: Mapping[str, str] = {
    "franky": "franka",
    "pymodbus": "robotiq",
    "pyrealsense2": "realsense",
    "cv2": "vision",
    "tomlkit": "calibration",
    "pyspacemouse": "spacemouse",
    "evdev": "gamepad",
    "mujoco_menagerie": "menagerie",
    "wandb": "wandb",
}
"""The extra of robotkit that installs an optional module."""


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
        cls = self._load(name, self._entries[name])
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
            return cls.Config(**options)
        except ValidationError as error:
            raise InvalidConfiguration(f"{self.kind} {name!r}: {describe(error, cls.Config)}") from error

    def _add(self, name: str, entry: Entry) -> None:
        present = self._entries.get(name)
        if present is not None and present is not entry:
            raise DuplicatePlugin(f"a {self.kind} named {name!r} is registered already ({_target(present)}); "
                                  f"choose another name for {_target(entry)}")  # fmt: skip
        self._entries[name] = entry

    def _scan(self) -> None:
        if self._scanned:
            return
        self._scanned = True
        for point in entry_points(group=f"robotkit.{self.kind}s"):
            present = self._entries.get(point.name)
            if present is None or _target(present) != point.value:
                self._add(point.name, point)

    def _load(self, name: str, entry: Entry) -> Any:
        if isinstance(entry, type):
            return entry
        try:
            if isinstance(entry, EntryPoint):
                return entry.load()
            module, _, attribute = entry.partition(":")
            return getattr(importlib.import_module(module), attribute)
        except ModuleNotFoundError as error:
            raise self._not_loadable(name, entry, error) from error
        except ConfigurationError:  # the plugin says itself what it lacks
            raise
        except Exception as error:  # a plugin is somebody else's code: whatever it raises is translated here, once
            raise InvalidConfiguration(
                f"{self.kind} {name!r} ({_target(entry)}) cannot be loaded: {type(error).__name__}: {error}"
            ) from error

    def _not_loadable(self, name: str, entry: Entry, error: ModuleNotFoundError) -> ConfigurationError:
        missing = error.name or ""
        if (_target(entry).partition(":")[0] + ".").startswith(missing + "."):
            return InvalidConfiguration(
                f"{self.kind} {name!r} is registered as {_target(entry)}, but there is no module {missing!r}; "
                "install the package that brings it, or correct its entry point"
            )
        module = missing.partition(".")[0]
        wanted = f"'robotkit[{EXTRA_OF_MODULE[module]}]'" if module in EXTRA_OF_MODULE else module
        return MissingExtra(
            f"{self.kind} {name!r} needs the package {module!r}, which is not installed. Try: pip install {wanted}"
        )


def _target(entry: Entry) -> str:
    if isinstance(entry, EntryPoint):
        return entry.value
    return entry if isinstance(entry, str) else f"{entry.__module__}:{entry.__qualname__}"


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
