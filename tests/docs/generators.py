"""The modules that make generated pages and pictures, loaded as mkdocs does: beside each other, without a package."""

from __future__ import annotations

import sys
from importlib import import_module

from tests.end_to_end.runs import ROOT

_FOLDER = ROOT / "docs" / "generate"

sys.path.insert(0, str(_FOLDER))
try:
    api_pages, command_pages, device_pages, protocol_page, task_pictures = (
        import_module(name) for name in ("api_pages", "command_pages", "device_pages", "protocol_page", "task_pictures")
    )
finally:
    sys.path.remove(str(_FOLDER))
