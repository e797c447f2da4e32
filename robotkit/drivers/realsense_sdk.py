"""pyrealsense2, imported so that it finds libusb and a home folder also where the system has none."""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import os
import tempfile
from pathlib import Path

from robotkit.errors import MissingExtra


def _preload_libusb() -> None:
    """Load the libusb of the package `libusb-package`, which pip can install and pyrealsense2's wheel does not hold."""
    with contextlib.suppress(OSError):
        ctypes.CDLL("libusb-1.0.so.0", mode=ctypes.RTLD_GLOBAL)
        return
    found = importlib.util.find_spec("libusb_package")
    if found is None or not found.submodule_search_locations:
        raise MissingExtra(
            "pyrealsense2 needs libusb-1.0, which is not installed. Try: pip install 'robotkit[realsense]', or "
            "apt install libusb-1.0-0"
        )
    for library in Path(found.submodule_search_locations[0]).glob("libusb-1.0.so*"):
        ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)


def _name_a_home() -> None:
    """Name the folder of temporary files as home where the user has none: librealsense looks for its settings there."""
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = tempfile.gettempdir()


_preload_libusb()
_name_a_home()

import pyrealsense2 as rs  # noqa: E402  (only now can it be loaded)

__all__ = ["rs"]
