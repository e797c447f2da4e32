"""The options of `robotkit-train demo`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class DemoOptions:
    """A simulated Franka arm learns to pick up a cube from scripted demonstrations and its own experience."""

    out: Path | None = None
    """Directory of the run; a new one under runs/ by default."""
    seed: int = 0
    """Seed of every random draw."""
    steps: int | None = None
    """Environment steps at most; the preset's number by default."""
    full: bool = False
    """Take all steps, instead of ending when 95 % of two evaluations in a row were successful."""
    demonstrations: int = 20
    """Scripted episodes to record."""
    episodes: int = 20
    """Episodes of the final evaluation."""
