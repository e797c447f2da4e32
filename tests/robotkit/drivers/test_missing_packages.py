"""Without its vendor's package a driver says which pip line brings it, and no driver loads one unasked."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import sys
import tempfile
from pathlib import Path

import pytest

import robotkit as rk
from robotkit.registry import cameras, grippers, teleops, trackers
from tests.test_architecture import modules_after

WANTED = [
    (grippers, "robotiq", "pymodbus", "robotiq"),
    (cameras, "realsense", "pyrealsense2", "realsense"),
    (cameras, "opencv", "cv2", "vision"),
    (trackers, "apriltag", "cv2", "vision"),
    (teleops, "spacemouse", "pyspacemouse", "spacemouse"),
    (teleops, "gamepad", "evdev", "gamepad"),
]


@pytest.mark.parametrize(("registry", "name", "package", "extra"), WANTED, ids=[wanted[1] for wanted in WANTED])
def test_a_missing_package_has_its_pip_line(registry, name, package, extra, monkeypatch):
    for module in list(sys.modules):
        if module.startswith("robotkit.drivers.") and not module.startswith("robotkit.drivers.fake"):
            monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(rk.MissingExtra, match=rf"pip install 'robotkit\[{extra}\]'"):
        registry.get(name)


def test_realsense_without_libusb_has_its_pip_line(monkeypatch):
    for module in ("realsense", "realsense_sdk"):
        monkeypatch.delitem(sys.modules, f"robotkit.drivers.{module}", raising=False)
    monkeypatch.setattr(ctypes, "CDLL", unloadable)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(rk.MissingExtra, match=r"libusb.*robotkit\[realsense\]"):
        cameras.get("realsense")


def test_r10_realsense_without_a_home_folder_has_one(monkeypatch, tmp_path):
    """Without one librealsense lists no camera: "failed to get special folder"."""

    def home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delitem(sys.modules, "robotkit.drivers.realsense_sdk", raising=False)
    monkeypatch.setenv("HOME", "")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(Path, "home", home)
    importlib.import_module("robotkit.drivers.realsense_sdk")
    assert os.environ["HOME"] == str(tmp_path)


def unloadable(name: str, mode: int = 0) -> None:
    raise OSError(f"{name}: cannot open shared object file")


def test_no_package_is_loaded_before_its_driver_is_asked_for():
    statement = "import robotkit as rk; [kind.names() for kind in (rk.cameras, rk.grippers, rk.trackers, rk.teleops)]"
    assert not modules_after(statement) & {package for _, _, package, _ in WANTED}
