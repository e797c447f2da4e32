"""The check of the interventions: whether a person is needed less and less."""

from __future__ import annotations

import numpy as np

from rl.training.doctor.evidence import Evidence, Line
from rl.training.doctor.verdicts import NotApplicable, Symptom
from rl.utils.option_words import option

_EPISODES = 60
_SHARE = 0.2
_FALLEN = 0.9


def find_lasting_interventions(evidence: Evidence) -> Symptom | None:
    """Compare the share of the steps in which a person acted, in the first and in the last third of the episodes."""
    if evidence.config.human is None and not any(line.get("interventions", 0) > 0 for line in evidence.episodes):
        raise NotApplicable("nobody takes over in this run")
    begin = evidence.config.training_starts
    episodes = [line for line in evidence.require_episodes(1, "intervened_steps") if line.get("step", 0.0) >= begin]
    if len(episodes) < _EPISODES:
        raise NotApplicable(f"{len(episodes)} episodes have ended while learning, and {_EPISODES} are needed")
    third = len(episodes) // 3
    first, last = _share(episodes[:third]), _share(episodes[-third:])
    if last < _SHARE or last < _FALLEN * first:
        return None
    return Symptom(
        {"first_share": first, "last_share": last, "episodes": float(len(episodes))},
        f"a person acts in {last:.0%} of the steps, where it was {first:.0%} in the first third of {len(episodes)} "
        "episodes",
        f"Let the interventions join the demonstrations ({option('replay.interventions')}), take over early and "
        "briefly and "
        "always in one way, and look whether the agent observes what the person sees",
    )


def _share(episodes: list[Line]) -> float:
    return float(np.sum([line["intervened_steps"] for line in episodes])) / max(
        float(np.sum([line["length"] for line in episodes])), 1.0
    )
