"""Reads the JSON lines of metrics that a run has written, of one that still goes on or was killed too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Return the lines in the order of the file, without those that a crash has damaged or that are half written.

    Each has its `step`; a null stands for a number that was not finite.

    Raises:
        OSError: there is no such file, or it cannot be read.
    """
    found: list[dict[str, Any]] = []
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict) and "step" in line:
            found.append(line)
    return found
