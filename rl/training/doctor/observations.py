"""The checks of the observations: whether they change, and whether one drowns the others."""

from __future__ import annotations

import numpy as np

from rl.training.doctor.evidence import Evidence, Transitions
from rl.training.doctor.verdicts import NotApplicable, Symptom
from rl.utils.option_words import option

_STEPS = 500
_CHANGES = 10.0  # that were to be expected in the newest steps: by chance none is as rare as 1 in 20 000
_MOST_STEPS = 0.5
_SORTED = 1000  # steps, evenly spread, whose quantiles are taken: those of all take most of an examination
_LARGE = 100.0
_ABOVE_REST = 100.0
_SPIKE = 1000.0


def find_frozen(evidence: Evidence) -> Symptom | None:
    """Look for what does not change: all numbers, an image, or a number that changed often before.

    A number may stand still for long, such as the goal of long episodes, or whether something is grasped. So it counts
    alone where as many changes were to be expected as before, or where it changes in most steps of the demonstrations.
    """
    transitions = evidence.require_transitions(2 * _STEPS)
    newest, before = transitions[-_STEPS:], transitions[:-_STEPS]
    images = np.ptp(newest.images, 0) == 0
    still = np.ptp(newest.vectors, 0) == 0
    is_expected = _change_rates(before) * _STEPS >= _CHANGES
    if evidence.demos is not None and evidence.demos.vectors.shape[1] == len(still):
        is_expected |= _change_rates(evidence.demos) > _MOST_STEPS
    stopped = still & is_expected
    all_still = len(still) > 0 and bool(still.all())
    if not (images.any() or stopped.any() or all_still):
        return None
    places = np.flatnonzero(still if all_still else stopped)
    what = [f"{images.sum()} of {len(images)} images"] if images.any() else []
    what += [f"{len(places)} of {len(still)} numbers (the first is number {places[0]})"] if len(places) else []
    return Symptom(
        {"images": float(images.sum()), "numbers": float(len(places)), "steps": float(_STEPS)},
        f"{' and '.join(what)} of the observation did not change in the newest {_STEPS} steps",
        "Look at the camera or the sensor behind it (`robotkit cameras`, `robotkit watch`): a driver that is stuck "
        "goes on giving its last measurement",
    )


def find_blown_up(evidence: Evidence) -> Symptom | None:
    """Look for a number that is far larger than the others, or than it mostly is itself."""
    vectors = evidence.require_transitions(_STEPS).vectors
    if not vectors.shape[1]:
        raise NotApplicable("the observations are images alone")
    usual = np.quantile(np.abs(vectors[:: -(-len(vectors) // _SORTED)]), 0.99, axis=0)
    largest = np.maximum(vectors.max(0), -vectors.min(0))
    rest = float(np.median(usual))
    drowns = (usual > _LARGE) & (usual > _ABOVE_REST * rest)
    if evidence.config.agent.standardises_inputs:
        drowns[:] = False
    spikes = (largest > _LARGE) & (largest > _SPIKE * np.maximum(usual, 1e-3))
    if not (drowns | spikes).any():
        return None
    place = int(np.argmax(np.where(drowns | spikes, largest, 0.0)))
    return Symptom(
        {"number": float(place), "largest": float(largest[place]), "usual": float(usual[place]), "rest": rest},
        f"number {place} of the observation reaches {largest[place]:.3g}, where it mostly stays below "
        f"{usual[place]:.3g}, and half of the others below {rest:.3g}",
        "Scale it in the environment to about 1, or standardise the observations "
        f"({option('agent.standardises_inputs')}); look "
        "at the sensor where single values are wrong",
    )


def _change_rates(transitions: Transitions) -> np.ndarray:
    """The share of the steps in which each number changes; 0 for a number of two values, such as a contact."""
    vectors = transitions.vectors
    follows = transitions.actors[1:] == transitions.actors[:-1]
    if not follows.any():
        return np.zeros(vectors.shape[1])
    rates = (vectors[1:][follows] != vectors[:-1][follows]).mean(0)
    has_more_values = ((vectors != vectors.min(0)) & (vectors != vectors.max(0))).any(0)
    return np.where(has_more_values, rates, 0.0)
