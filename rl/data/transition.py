"""`make_transition`: one step of an environment as the transition that actors send and recorders store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, SupportsFloat

import numpy as np

from rl.data.schema import EXECUTED_ACTIONS, GRASP_PENALTY, IS_INTERVENTION

_EXECUTED = {"executed_action": EXECUTED_ACTIONS}


def make_transition(
    observation: Any,
    action: np.ndarray,
    next_observation: Any,
    reward: SupportsFloat,
    terminated: bool,
    truncated: bool,
    info: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the fields of a transition, without batch axis.

    Args:
        observation: before the step.
        action: what the policy chose; a human's `info["intervene_action"]` is stored instead where there is one.
        next_observation: after the step.
        reward: of the step.
        terminated: whether the task is over.
        truncated: whether the episode was cut.
        info: of the step. Where `info["intervene_hold"]` is set, the human's action only keeps the arm still: it is
            what was done, and no intervention to learn from. Where a base policy acts, `info["executed_action"]` is
            stored beside the residual.
    """
    executed = {name: np.asarray(info[key], np.float32) for key, name in _EXECUTED.items() if key in info}
    return {
        "observations": observation,
        "actions": np.asarray(info.get("intervene_action", action), np.float32),
        "next_observations": next_observation,
        "rewards": np.float32(reward),
        "masks": np.float32(not terminated),
        "dones": np.float32(terminated or truncated),
        IS_INTERVENTION: np.float32("intervene_action" in info and not info.get("intervene_hold")),
        GRASP_PENALTY: np.float32(info.get("grasp_penalty", 0.0)),
        **executed,
    }
