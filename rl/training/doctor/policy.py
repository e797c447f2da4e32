"""The checks of the policy: its actions, and its entropy."""

from __future__ import annotations

import numpy as np

from rl.agents.continuous.sac_hybrid_config import DualArmConfig, HybridConfig
from rl.training.doctor.evidence import Evidence
from rl.training.doctor.verdicts import NotApplicable, Symptom
from rl.utils.option_words import option

_STEPS = 500
_AT_BOUND = 0.99
_SATURATED_SHARE = 0.95
_LINES = 10
_NATS_BELOW = 1.0  # for each number of an action: a deviation e times smaller than asked for
_NATS_LOST = 4.0  # for each number: a deviation 55 times smaller
_RISING = 1.001


def find_saturated(evidence: Evidence) -> Symptom | None:
    """Look whether the policy's actions lie at their bounds, in every direction and nearly always."""
    transitions = evidence.require_transitions(1)
    is_own = (transitions.rows >= evidence.config.random_steps) & ~transitions.is_by_human
    actions = transitions.actions[is_own][-_STEPS:]
    if len(actions) < _STEPS:
        raise NotApplicable(f"the policy took {len(actions)} steps, and {_STEPS} are needed")
    shares = (np.abs(actions) > _AT_BOUND).mean(0)
    if shares.min() < _SATURATED_SHARE:
        return None
    farther = "let an action move the arm farther"
    if evidence.config.corrects_base:
        farther = f"raise {option('residual.scale')}"
    return Symptom(
        {"least_share": float(shares.min()), "steps": float(len(actions))},
        f"every number of the action lies at its bound in at least {shares.min():.0%} of the newest {len(actions)} "
        "steps",
        f"Take smaller {option('agent.actor_optimizer.learning_rate')} or rewards of a smaller size, standardise "
        "the observations "
        f"({option('agent.standardises_inputs')}), or {farther}",
    )


def find_collapsed(evidence: Evidence) -> Symptom | None:
    """Compare the entropy of the policy with the one that the temperature is to keep.

    A healthy run falls below it too, while it learns fast; then the temperature rises and brings it back.
    """
    entropy = float(np.median(evidence.newest("actor/entropy", _LINES)))
    temperatures = evidence.newest("actor/temperature", _LINES)
    temperature, is_rising = float(temperatures[-1]), bool(temperatures[-1] > _RISING * temperatures[0])
    size = evidence.require_transitions(1).actions.shape[1]
    asked = evidence.config.agent.target_entropy
    target = -(size - _grippers(evidence)) / 2 if asked is None else asked
    lowest = target - (_NATS_LOST if is_rising else _NATS_BELOW) * size
    if not entropy < lowest:
        return None
    return Symptom(
        {"entropy": entropy, "target": target, "allowed": lowest, "temperature": temperature},
        f"the policy has an entropy of {entropy:.3g} nats where {target:.3g} are asked for (temperature "
        f"{temperature:.2g}): it does not explore any more",
        f"Raise {option('agent.temperature_init')} or {option('agent.temperature_optimizer.learning_rate')}, or "
        "make the rewards smaller",
    )


def _grippers(evidence: Evidence) -> int:
    """Numbers of an action that the target of the entropy leaves out."""
    settings = evidence.config.agent
    if not isinstance(settings, HybridConfig) or settings.target_entropy_counts_grippers:
        return 0
    return 2 if isinstance(settings, DualArmConfig) else 1
