"""The checks of the observations: whether they change, and whether one drowns the others."""

from __future__ import annotations

import numpy as np

from rl.training.doctor.evidence import Evidence, Transitions
from rl.training.doctor.verdicts import NotApplicable, Symptom

_STEPS = 500
_LARGE = 100.0
_ABOVE_REST = 100.0
_SPIKE = 1000.0


def find_frozen(evidence: Evidence) -> Symptom | None:
    """Look for what does not change: all numbers, an image, or a number that has changed before.

    A number that never changes is common, such as the goal of a task; it is none that stands still in the newest steps
    alone, or that moved in the demonstrations.
    """
    transitions = evidence.require_transitions(2 * _STEPS)
    newest, before = transitions[-_STEPS:], transitions[:-_STEPS]
    images = np.ptp(newest.images, 0) == 0
    still = np.ptp(newest.vectors, 0) == 0
    earlier = _moves(before)
    if evidence.demos is not None and evidence.demos.vectors.shape[1] == len(still):
        earlier = earlier | _moves(evidence.demos)
    stopped = still & earlier
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
    vectors = np.abs(evidence.require_transitions(_STEPS).vectors)
    if not vectors.shape[1]:
        raise NotApplicable("the observations are images alone")
    usual = np.quantile(vectors, 0.99, axis=0)
    largest = vectors.max(0)
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
        "Scale it in the environment to about 1, or standardise the observations (--agent.standardises-inputs); look "
        "at the sensor where single values are wrong",
    )


def _moves(transitions: Transitions) -> np.ndarray:
    return np.asarray(np.ptp(transitions.vectors, 0) > 0)
