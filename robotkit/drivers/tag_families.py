"""The families of printed tags, by name; no package is needed to name one."""

from __future__ import annotations

from typing import Literal

Family = Literal["tag16h5", "tag25h9", "tag36h10", "tag36h11", "4x4_50", "4x4_100", "5x5_100", "6x6_250", "original"]
"""AprilTag 2 ("tag36h11" is the usual one), then ArUco: bits of the code, and number of tags in the family."""
