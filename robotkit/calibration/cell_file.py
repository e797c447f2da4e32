"""A workcell file that receives what was calibrated, with its comments and its order kept."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tomlkit

from robotkit import registry
from robotkit.calibration.recording import Mount
from robotkit.cells import load_workcell_config
from robotkit.errors import InvalidConfiguration
from robotkit.schema import Intrinsics, PluginConfig, PluginRef

_CAMERA_KEYS: Mapping[Mount, str] = {"base": "camera_pose_in_base", "tcp": "camera_pose_in_tcp"}


class CellFile:
    """A workcell file; nothing is written before `save`, which checks the result first.

    Raises:
        InvalidConfiguration: the file cannot be read or does not validate, or it has no such camera.
    """

    def __init__(self, path: Path, camera: str) -> None:
        self.path = path
        self.camera = camera
        self.config = load_workcell_config(path)
        if camera not in self.config.cameras:
            known = ", ".join(self.config.cameras) or "none"
            raise InvalidConfiguration(f"{path} has no camera {camera!r}; it has: {known}")
        self._document = tomlkit.parse(path.read_text(encoding="utf-8"))

    @property
    def camera_ref(self) -> PluginRef:
        """Plugin and options of the camera."""
        return self.config.cameras[self.camera]

    def camera_options(self) -> PluginConfig:
        """The camera's options, checked."""
        return registry.cameras.validate(self.camera_ref.type, self.camera_ref.options)

    def trackers(self) -> list[str]:
        """Names of the trackers that look through this camera by their tags."""
        return [
            name
            for name, ref in self.config.trackers.items()
            if ref.type == "apriltag" and ref.options.get("camera") == self.camera
        ]

    def distortion(self) -> tuple[float, ...]:
        """The distortion that the first of these trackers knows; empty when there is none."""
        for name in self.trackers():
            return tuple(float(value) for value in self.config.trackers[name].options.get("distortion", ()))
        return ()

    def set_mount(self, mount: Mount, camera_pose: np.ndarray) -> None:
        """Write where the camera is into every tracker that looks through it."""
        for name in self.trackers():
            table = self._table("trackers", name)
            table["camera_mount"] = mount
            table[_CAMERA_KEYS[mount]] = _numbers(camera_pose, 6)
            table.pop(_CAMERA_KEYS["base" if mount == "tcp" else "tcp"], None)

    def set_lens(self, captured: Intrinsics, distortion: Sequence[float]) -> None:
        """Write the lens: its pinhole parameters into the camera, its distortion into the trackers behind it."""
        values = tomlkit.inline_table()
        values.update({name: round(value, 3) for name, value in captured.model_dump().items()})
        self._table("cameras", self.camera)["intrinsics"] = values
        for name in self.trackers():
            self._table("trackers", name)["distortion"] = _numbers(distortion, 6)

    def save(self) -> None:
        """Check the new content as a workcell file, then replace the old one at once.

        Raises:
            InvalidConfiguration: the result would not validate; the file is as it was.
        """
        path = self.path.resolve()  # a link stays a link
        handle, name = tempfile.mkstemp(suffix=".toml", prefix=f".{path.stem}-", dir=path.parent)
        draft = Path(name)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(tomlkit.dumps(self._document))
            config = load_workcell_config(draft)
            for kind, refs in ((registry.cameras, config.cameras), (registry.trackers, config.trackers)):
                for ref in refs.values():
                    kind.validate(ref.type, ref.options)
            shutil.copymode(path, draft)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)

    def _table(self, section: str, name: str) -> MutableMapping[str, Any]:
        """The table of a device; a variant of another cell (`base = …`) gets one, with what differs."""
        devices = self._document.setdefault(section, tomlkit.table(is_super_table=True))
        table: MutableMapping[str, Any] = devices.setdefault(name, tomlkit.table())
        return table


def _numbers(values: Sequence[float] | np.ndarray, digits: int) -> list[float]:
    return [round(float(value), digits) for value in values]
