"""The checks of the pace: who waits for whom, and how old what is acted with is."""

from __future__ import annotations

import numpy as np

from rl.training.doctor.evidence import Evidence
from rl.training.doctor.verdicts import NotApplicable, Symptom
from rl.utils.option_words import option

_LINES = 10
_MOST_STEPS_PER_UPDATE = 100.0  # SERL's own tasks on a GPU have one or a few
_BEHIND = 0.5  # of the updates that the steps pay for
_STALE_S = 30.0
_EPISODES = 10
_LATE_SHARE = 0.1
_STARVED_SHARE = 0.95


def find_missing_updates(evidence: Evidence) -> Symptom | None:
    """Compare the updates with those that the steps pay for, between the first and the newest line."""
    lines = [line for line in evidence.updates if {"updates", "step"} <= line.keys()]
    if len(lines) < _LINES:
        raise NotApplicable(f"{len(lines)} lines of the metrics count updates, and {_LINES} are needed")
    steps, updates = (lines[-1][name] - lines[0][name] for name in ("step", "updates"))
    asked = evidence.config.env_steps_per_update
    most = _MOST_STEPS_PER_UPDATE if asked is None else asked / _BEHIND
    if steps <= most * max(updates, 1.0):
        return None
    return Symptom(
        {"steps": steps, "updates": updates, "steps_per_update": steps / max(updates, 1.0), "allowed": most},
        f"{updates:.0f} updates were done in {steps:.0f} steps, one in {steps / max(updates, 1.0):.3g}",
        f"Let the actors wait ({option('env_steps_per_update')}, {option('max_lead')}), or make an update cheaper "
        f"({option('utd_ratio')}, {option('batch_size')}, {option('device', 'cuda')})",
    )


def find_stale_weights(evidence: Evidence) -> Symptom | None:
    """Compare the age of the weights that the actors act with, in seconds; also the freshest is looked at.

    An actor that evaluates takes no weights meanwhile, so one look is not enough.
    """
    lag = evidence.newest("actor_lag", _LINES)
    rates = evidence.newest("updates_per_s", _LINES)
    ages_s = lag / np.maximum(rates, 1e-9)
    age_s = float(ages_s.min())
    if not age_s > _STALE_S or lag.min() <= 1:
        return None
    return Symptom(
        {"age_s": age_s, "lag_updates": float(lag.min())},
        f"the actors act with weights that are {lag.min():.0f} updates and {age_s:.0f} s old at least",
        f"Publish more often ({option('publish_every', 1)}), and look at the connection of the actor to the learner",
    )


def find_late_steps(evidence: Evidence) -> Symptom | None:
    """Look at the share of the control steps that took longer than their period."""
    episodes = evidence.require_episodes(_EPISODES, "late_steps")[-_EPISODES:]
    steps = sum(line["length"] for line in episodes)
    late = sum(line["late_steps"] for line in episodes)
    torn = sum(line["torn_steps"] for line in episodes)
    if late < _LATE_SHARE * steps:
        return None
    return Symptom(
        {"share": late / steps, "late_steps": late, "torn_steps": torn, "steps": steps},
        f"{late:.0f} of the newest {steps:.0f} steps took more than a tenth longer than their period, and {torn:.0f} "
        "were left out for it",
        f"Give the actor a processor of its own ({option('learner_threads')}, another machine for the learner), "
        "make images "
        "smaller, or lengthen the control period of the task",
    )


def find_starved_learner(evidence: Evidence) -> Symptom | None:
    """Look at the time that the learner waits for data."""
    share = float(np.median(evidence.newest("waited_share", _LINES)))
    if share < _STARVED_SHARE:
        return None
    return Symptom(
        {"share": share},
        f"the learner waits for steps in {share:.0%} of its time",
        f"Learn more from each step (larger {option('utd_ratio')}, smaller {option('env_steps_per_update')}), or "
        f"start more {option('actors')}",
    )


def find_starved_actor(evidence: Evidence) -> Symptom | None:
    """Look at the time that the actors wait until the learner lets them go on."""
    episodes = evidence.require_episodes(_EPISODES, "waited_share")[-_EPISODES:]
    share = float(np.median([line["waited_share"] for line in episodes]))
    if share < _STARVED_SHARE:
        return None
    return Symptom(
        {"share": share},
        f"the actors wait for the learner in {share:.0%} of their time",
        f"Make an update cheaper ({option('utd_ratio')}, {option('batch_size')}, {option('device', 'cuda')}, "
        f"{option('compile')}), or raise {option('env_steps_per_update')}",
    )
