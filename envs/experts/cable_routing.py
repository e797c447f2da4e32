"""The expert of cable routing."""

from __future__ import annotations

from typing import Any

import gymnasium

from envs.experts.insertion import InsertionStrategy, SightedInsertion
from envs.tasks.cable_routing import CABLE

STRATEGY = InsertionStrategy(
    depth_m=-CABLE.part_in_socket[2],
    hover_m=0.008,
    travel_m=0.05,
    aligned_m=0.002,
    aligned_rad=0.06,
    gain=0.3,
    is_stiff=False,
    push=0.3,
)


def operator(env: gymnasium.Env[Any, Any]) -> SightedInsertion:
    """For any environment of the task in a cell with trackers, as `python -m rl record-success --operator` takes it."""
    return SightedInsertion(env, STRATEGY)
