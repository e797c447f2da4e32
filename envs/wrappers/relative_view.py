"""`relative_view`: the stack of wrappers through which SERL's agents observe a real-robot task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium

from envs.wrappers.pose_encoding import Quat2Euler
from envs.wrappers.relative_frame import RelativeFrame
from envs.wrappers.serl_obs_wrappers import SERLObsWrapper


def tool_view(env: gymnasium.Env[Any, Any]) -> gymnasium.Env[Any, Any]:
    """Tool axes, and Euler angles from the start; the state stays a dict, so that two arms can be joined."""
    return Quat2Euler(RelativeFrame(env))


def relative_view(env: gymnasium.Env[Any, Any], proprio_keys: Sequence[str] | None = None) -> gymnasium.Env[Any, Any]:
    """Tool axes, Euler angles from the start, and a flat state (19 numbers with all of SERL's entries) beside images.

    Interventions belong inside: `relative_view(TeleopIntervention(env, teleop))`.

    Args:
        env: a `FrankaTask`'s.
        proprio_keys: entries of the state to keep; all when None.
    """
    return SERLObsWrapper(tool_view(env), proprio_keys)
