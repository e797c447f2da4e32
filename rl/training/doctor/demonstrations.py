"""The check of the demonstrations: whether they do the same where they see the same."""

from __future__ import annotations

import numpy as np

from rl.training.doctor.evidence import Evidence, Transitions
from rl.training.doctor.verdicts import NotApplicable, Symptom

_ROWS = 1000
_PAIRS = 50
_NEAR = 0.3  # of the median distance of two observations
_UNLIKE = 0.5  # 0: neighbours act alike, 1: as unlike as any two actions; scripted experts have 0.00 to 0.06


def find_contradictions(evidence: Evidence) -> Symptom | None:
    """Compare the actions of steps of different demonstrations with near observations.

    The mean squared difference of their actions is divided by that of any two actions of the demonstrations.
    """
    demos = evidence.require_demos()
    if demos.images.shape[1]:
        raise NotApplicable("which images are near each other is not known")
    episodes = demos.episodes()
    if len(episodes) < 2:
        raise NotApplicable("there is one demonstration, and two are needed")
    seen, actions, episode = _numbered(demos, episodes)
    spread = 2.0 * float(actions.var(0).sum())
    if not spread > 0:
        return None
    near, nearest = _neighbours(seen, episode)
    if near.sum() < _PAIRS:
        raise NotApplicable(
            f"{near.sum()} steps have a near one in another demonstration, and {_PAIRS} are needed: record more"
        )
    rows = np.flatnonzero(near)
    unlike = float(((actions[rows] - actions[nearest[rows]]) ** 2).sum(1).mean()) / spread
    if unlike < _UNLIKE:
        return None
    return Symptom(
        {"unlike": unlike, "pairs": float(len(rows))},
        f"actions at {len(rows)} pairs of near observations differ {unlike:.0%} as much as any two actions",
        "Look at the demonstrations (`robotkit-train replay FILE`), record again in one way alone, and let the agent "
        "observe what the demonstrator saw (--frame-stack, further observations)",
    )


def _numbered(demos: Transitions, episodes: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scaled observations and actions of whole episodes, and the number of the episode, of the first rows."""
    rows = np.concatenate(episodes)[:_ROWS]
    number = np.concatenate([np.full(len(own), index) for index, own in enumerate(episodes)])[:_ROWS]
    seen = demos.vectors[rows].astype(np.float64)
    deviation = seen.std(0)
    moves = deviation > 1e-9
    return (seen[:, moves] - seen[:, moves].mean(0)) / deviation[moves], demos.actions[rows], number


def _neighbours(seen: np.ndarray, episode: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each step whether another episode has a near one, and the nearest one there."""
    squares = (seen**2).sum(1)
    distances = np.sqrt(np.maximum(squares[:, None] + squares[None, :] - 2.0 * seen @ seen.T, 0.0))
    radius = _NEAR * float(np.median(distances))
    distances[episode[:, None] == episode[None, :]] = np.inf
    nearest = distances.argmin(1)
    return distances[np.arange(len(seen)), nearest] <= radius, nearest
