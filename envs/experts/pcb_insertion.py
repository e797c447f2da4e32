"""The expert of PCB insertion."""

from __future__ import annotations

from typing import Any

import gymnasium

from envs.experts.insertion import InsertionStrategy, SightedInsertion
from envs.tasks.pcb_insertion import PCB

STRATEGY = InsertionStrategy(depth_m=-PCB.part_in_socket[2], hover_m=0.002, aligned_m=0.0008, aligned_rad=0.02)


def operator(env: gymnasium.Env[Any, Any]) -> SightedInsertion:
    """For any environment of the task in a cell with trackers, as `python -m rl record-success --operator` takes it."""
    return SightedInsertion(env, STRATEGY)
