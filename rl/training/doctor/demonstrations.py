"""The check of the demonstrations: whether they do the same where they see the same."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from rl.training.doctor.evidence import Evidence, Transitions
from rl.training.doctor.verdicts import NotApplicable, Symptom
from rl.utils.option_words import option

_ROWS = 500  # their distances take 10 ms
_PAIRS = 50
_NEAR = 0.3  # of the median distance of two observations
_AS_FAR = 0.5  # relative difference of two distances that count as equal
_UNLIKE = 0.3  # 0: neighbours act alike, 1: as unlike as any two steps
_TIMES = 2.0


def find_contradictions(evidence: Evidence) -> Symptom | None:
    """Compare the actions at near observations of different demonstrations, and those of the same one.

    Mean squared differences of actions are divided by those of any two steps. An action that changes fast with the
    observation, or a trembling hand, makes neighbours unlike within a demonstration too: only what differs twice as
    much between two demonstrations, at observations as far apart, contradicts.
    """
    return _compare(evidence.require_demos())


@lru_cache(maxsize=1)  # demonstrations do not change while a run is trained
def _compare(demos: Transitions) -> Symptom | None:
    if demos.images.shape[1]:
        raise NotApplicable("which images are near each other is not known")
    episodes = demos.episodes()
    if len(episodes) < 2:
        raise NotApplicable("there is one demonstration, and two are needed")
    seen, actions, episode = _numbered(demos, episodes)
    spread = 2.0 * float(actions.var(0).sum())
    if not spread > 0:
        return None
    rows, others, own = _neighbours(seen, episode)
    if len(rows) < _PAIRS:
        raise NotApplicable(
            f"{len(rows)} steps have a near one in another demonstration, and {_PAIRS} are needed: record more"
        )
    between, within = (float(((actions[rows] - actions[to]) ** 2).sum(1).mean()) / spread for to in (others, own))
    if between < _UNLIKE or between < _TIMES * within:
        return None
    return Symptom(
        {"between": between, "within": within, "pairs": float(len(rows))},
        f"actions at {len(rows)} pairs of near observations differ {between:.0%} as much as any two actions where the "
        f"pair is of two demonstrations, and {within:.0%} where it is of one",
        "Look at the demonstrations (`robotkit-train replay FILE`), record again in one way alone, and let the agent "
        f"observe what the demonstrator saw ({option('frame_stack')}, further observations)",
    )


def _numbered(demos: Transitions, episodes: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scaled observations and actions of steps spread over whole episodes, and the numbers of these."""
    rows = np.concatenate(episodes)
    number = np.repeat(np.arange(len(episodes)), [len(own) for own in episodes])
    stride = -(-len(rows) // _ROWS)
    rows, number = rows[::stride], number[::stride]
    seen = demos.vectors[rows].astype(np.float64)
    deviation = seen.std(0)
    moves = deviation > 1e-9
    return (seen[:, moves] - seen[:, moves].mean(0)) / deviation[moves], demos.actions[rows], number


def _neighbours(seen: np.ndarray, episode: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Steps with a near one in another episode, that one, and one of their own episode that is as far away."""
    squares = (seen**2).sum(1)
    distances = np.sqrt(np.maximum(squares[:, None] + squares[None, :] - 2.0 * seen @ seen.T, 0.0))
    is_own = episode[:, None] == episode[None, :]
    between = np.where(is_own, np.inf, distances)
    others, radii = between.argmin(1), between.min(1)
    np.fill_diagonal(is_own, False)
    misfits = np.where(is_own, np.abs(distances - radii[:, None]), np.inf)
    own = misfits.argmin(1)
    is_matched = misfits.min(1) <= _AS_FAR * radii + 1e-9
    rows = np.flatnonzero((radii <= _NEAR * np.median(distances)) & is_matched)
    return rows, others[rows], own[rows]
