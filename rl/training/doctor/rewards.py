"""The checks of the reward: whether it says anything, and whether what it says is true."""

from __future__ import annotations

import numpy as np

from rl.training.doctor.evidence import Evidence, Line, Transitions
from rl.training.doctor.verdicts import NotApplicable, Symptom
from rl.utils.option_words import option

_STEPS, _EPISODES = 1000, 20
_NO_SUCCESS_EPISODES = 100  # with one success in 34 episodes, 19 such runs in 20 have some
_RISING = 3.0  # standard errors
_PAID_EPISODES = 5
_FALSE_SHARE = 0.2
_SHORT = 0.5  # of the shortest demonstration
_RANDOM_PAID_SHARE = 0.2


def find_dead(evidence: Evidence) -> Symptom | None:
    """Look whether any reward differs from any other, of the run and of its demonstrations.

    A reward of every step, such as -1 until the goal or 1 until a fall, tells by when an episode terminates.
    """
    transitions = evidence.require_transitions(_STEPS)
    ended = len(transitions.episodes())
    if ended < _EPISODES:
        raise NotApplicable(f"{ended} episodes have ended, and {_EPISODES} are needed")
    rewards = transitions.rewards
    parts = [transitions] if evidence.demos is None else [transitions, evidence.demos]
    if any(np.ptp(part.rewards) > 0 or (part.rewards.any() and np.ptp(part.masks) > 0) for part in parts):
        return None
    value = float(rewards[0])
    paid = "pays in every step" if value > 0 else "has paid in no step"
    return Symptom(
        {"reward": value, "steps": float(len(rewards)), "episodes": float(ended)},
        f"the reward {paid}: it was {value:g} in each of the newest {len(rewards)} steps, over {ended} episodes",
        "Look at the reward with a scripted or a human success; where it is right but rare, record demonstrations and "
        f"give {option('replay.demos')}",
    )


def find_no_success(evidence: Evidence) -> Symptom | None:
    """Look for a success in a run without demonstrations, since its random steps.

    Where returns rise, the run is on its way.
    """
    if evidence.config.replay.demos:
        raise NotApplicable("the run learns from demonstrations")
    told = evidence.require_episodes(1, "success")
    episodes = [line for line in told if line.get("step", 0.0) > evidence.config.random_steps]
    if len(episodes) < _NO_SUCCESS_EPISODES:
        raise NotApplicable(f"the policy has ended {len(episodes)} episodes, and {_NO_SUCCESS_EPISODES} are needed")
    rates = [line["success_rate"] for line in evidence.evaluations if "success_rate" in line]
    if any(line["success"] > 0 for line in told) or any(rate > 0 for rate in rates) or _rises(episodes):
        return None
    return Symptom(
        {"episodes": float(len(episodes)), "evaluations": float(len(rates))},
        f"none of the newest {len(episodes)} episodes succeeded, and there are no demonstrations",
        f"Record demonstrations (`robotkit-train record demos`) and give {option('replay.demos')}, or let somebody "
        "take over "
        f"({option('human')})",
    )


def find_false(evidence: Evidence) -> Symptom | None:
    """Look for episodes that a reward classifier paid although they were no successes.

    Where the environment says itself what is a success, that is compared. Elsewhere an episode is suspect that is paid
    in less than half the steps of the shortest demonstration; and without demonstrations, one that random actions won.
    """
    told = [line for line in evidence.episodes if {"success", "env_success"} <= line.keys()]
    if evidence.config.reward_classifier is None and not told:
        raise NotApplicable("the reward comes from no classifier")
    if told:
        paid = [line for line in told if line["success"] > 0]
        return _judged(len(paid), sum(line["env_success"] == 0 for line in paid), "are no success in the environment")
    transitions = evidence.require_transitions(1)
    if evidence.demos is None:
        return _paid_at_random(transitions, evidence.config.random_steps)
    shortest = min(map(len, evidence.demos.episodes()), default=0)
    lengths = [len(rows) for rows in _paid(transitions)]
    short = sum(length < _SHORT * shortest for length in lengths)
    return _judged(len(lengths), short, f"took less than half the {shortest} steps of the shortest demonstration")


def _rises(episodes: list[Line]) -> bool:
    """Whether the returns of the last third of the newest episodes are higher than those of the first third."""
    returns = np.array([line["return"] for line in episodes[-_NO_SUCCESS_EPISODES:]])
    third = len(returns) // 3
    first, last = returns[:third], returns[-third:]
    error = float(np.sqrt((first.var() + last.var()) / third))
    return bool(last.mean() - first.mean() > _RISING * error)


def _paid(transitions: Transitions) -> list[np.ndarray]:
    """The whole episodes whose last step was paid."""
    rewards, first = transitions.rewards, transitions.rows[0]
    whole = [rows for rows in transitions.episodes() if transitions.rows[rows[0]] > first or first == 0]
    return [rows for rows in whole if rewards[rows[-1]] > 0]


def _paid_at_random(transitions: Transitions, random_steps: int) -> Symptom | None:
    episodes = [rows for rows in transitions.episodes() if transitions.rows[rows[-1]] < random_steps]
    if len(episodes) < _PAID_EPISODES:
        raise NotApplicable(
            "neither the environment nor a demonstration shows what a success is, and the journal holds "
            f"{len(episodes)} episodes of random actions, where {_PAID_EPISODES} are needed"
        )
    paid = sum(transitions.rewards[rows[-1]] > 0 for rows in episodes)
    if paid < _RANDOM_PAID_SHARE * len(episodes):
        return None
    return _symptom(len(episodes), int(paid), "of random actions were paid")


def _judged(paid: int, false: int, what: str) -> Symptom | None:
    if paid < _PAID_EPISODES:
        raise NotApplicable(f"the classifier paid {paid} episodes, and {_PAID_EPISODES} are needed")
    return None if false < _FALSE_SHARE * paid else _symptom(paid, false, f"that the classifier paid {what}")


def _symptom(episodes: int, false: int, what: str) -> Symptom:
    return Symptom(
        {"episodes": float(episodes), "false": float(false), "share": false / episodes},
        f"{false} of {episodes} episodes {what}",
        "Look at their last images, record such frames with their label (`robotkit-train record success`), and train "
        "the classifier again",
    )
