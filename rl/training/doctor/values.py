"""The check of the critics: what they predict against what came back."""

from __future__ import annotations

import math

import numpy as np

from rl.agents.continuous.vice_config import ViceConfig
from rl.training.doctor.evidence import Evidence, Transitions
from rl.training.doctor.verdicts import NotApplicable, Symptom
from rl.utils.option_words import option

_LINES = 5
_EPISODES = 3
_HIGH = 0.95
_MARGIN = 0.1  # of the spread of the returns
_BEGIN = 2.0  # mean values of fresh networks have a deviation of 0.5, and rise while they feed on each other
_TAIL = 0.1  # part of an episode whose mean reward stands for what would have come after a time limit


def find_overestimated(evidence: Evidence) -> Symptom | None:
    """Compare the mean value of the newest batches with a return that few steps were followed by.

    The mean over the states of the buffer is not the value of the best twentieth of them. Values begin near 0, and
    where all returns are negative they take long to sink: 0 counts as a return.
    """
    settings = evidence.config.agent
    if isinstance(settings, ViceConfig):
        raise NotApplicable(f"the reward of {option('agent', 'vice')} is learned, and is not in the journal")
    if settings.discount == 1.0:
        raise NotApplicable("without a discount, a task with a time limit has no largest return")
    if evidence.config.replay.demos and evidence.demos is None:
        raise NotApplicable(evidence.missing_demos)
    predicted = float(np.median(evidence.newest("critic/predicted_qs", _LINES)))
    sources = [evidence.require_transitions(1), *([] if evidence.demos is None else [evidence.demos])]
    ended = sum(len(part.episodes()) for part in sources)
    if ended < _EPISODES:
        raise NotApplicable(f"{ended} episodes have ended, and {_EPISODES} are needed")
    found = [returns_to_go(part, settings.discount, settings.reward_bias) for part in sources]
    returns = np.concatenate(found)
    spread = float(np.ptp(returns))
    if not spread > 0:
        raise NotApplicable("all returns are equal")
    best = max(0.0, *(float(np.quantile(part, _HIGH)) for part in found if len(part)))
    entropy = _entropy_bonus(evidence) if settings.backup_entropy else 0.0
    most = best + entropy + _MARGIN * spread + _left_of_the_beginning(evidence)
    if math.isnan(predicted) or predicted <= most:
        return None
    return Symptom(
        {"predicted": predicted, "high_return": best, "allowed": most},
        f"the critics predict {predicted:.4g} in the mean, and {_HIGH:.0%} of the steps were followed by less than "
        f"{best:.4g} (discounted by {settings.discount:g})",
        f"Take the minimum of more critics ({option('agent.critic_ensemble_size', 10)}, "
        f"{option('agent.critic_subsample_size', 2)}), keep "
        f"{option('agent.use_layer_norm')}, and take fewer updates for each step ({option('utd_ratio')}) or smaller "
        f"{option('agent.critic_optimizer.learning_rate')}",
    )


def returns_to_go(transitions: Transitions, discount: float, bias: float = 0.0) -> np.ndarray:
    """Discounted sums of the rewards from each step to the end of its episode.

    After a time limit the mean reward of the episode's last tenth is taken to go on for ever.
    """
    found = [np.zeros(0)]
    for rows in transitions.episodes():
        rewards = transitions.rewards[rows] + bias
        tail = rewards[-math.ceil(len(rewards) * _TAIL) :].mean() / (1.0 - discount)
        value = float(tail) if transitions.masks[rows[-1]] else 0.0
        sums = np.empty(len(rewards))
        for step in reversed(range(len(rewards))):
            value = rewards[step] + discount * value
            sums[step] = value
        found.append(sums)
    return np.concatenate(found)


def _left_of_the_beginning(evidence: Evidence) -> float:
    """Return what the targets still hold of the values of fresh networks.

    Each critic step moves a target by the rate of the soft update, and of an old value the discounted part comes back.
    """
    settings = evidence.config.agent
    steps = float(evidence.updates[-1].get("updates", 0.0)) * evidence.config.utd_ratio
    return _BEGIN * math.exp(-steps * settings.soft_target_update_rate * (1.0 - settings.discount))


def _entropy_bonus(evidence: Evidence) -> float:
    """The most that the entropy of the policy adds to a value: that of every later step."""
    entropy = evidence.newest("actor/entropy", _LINES) * evidence.newest("actor/temperature", _LINES)
    return max(0.0, float(np.median(entropy))) / (1.0 - evidence.config.agent.discount)
