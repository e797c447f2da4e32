"""The evidence of the doctor: the newest part of what a run logs, as arrays and lines."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np

from rl.config import TrainConfig
from rl.data.journal import Block
from rl.data.schema import IS_INTERVENTION
from rl.training.doctor.verdicts import NotApplicable
from rl.utils.tree import leaves

Line = Mapping[str, float]
"""A line of the metrics, without the prefix of its topic; what was not finite is NaN."""

TRANSITIONS = 5000
"""Newest transitions that are looked at."""
LINES = 1000
"""Newest lines of each topic that are looked at."""
_MOST_NUMBERS = 1024  # of an array, which are looked at one by one: 40 MB in all the transitions


@dataclass(frozen=True, eq=False)
class Transitions:
    """Consecutive transitions, one a row."""

    vectors: np.ndarray
    """Numbers of the observations (N, F)."""
    images: np.ndarray
    """Means of the images of the observations (N, I), and of other large arrays: one that changes has another mean."""
    actions: np.ndarray
    """(N, A)."""
    rewards: np.ndarray
    masks: np.ndarray
    """1 - terminated."""
    dones: np.ndarray
    """Terminated or truncated."""
    is_by_human: np.ndarray
    """Whether a human acted (N,), bool."""
    actors: np.ndarray
    """Names of the actors' attempts (N,)."""
    follows_gap: np.ndarray
    """Whether the trajectory of its actor does not go on at this row (N,), bool."""
    rows: np.ndarray
    """Transitions of the run before each one (N,)."""

    @classmethod
    def of(cls, blocks: Sequence[Block]) -> Self:
        """The transitions of several blocks."""
        parts = [dict(leaves(block.transitions)) for block in blocks]
        flat = {path: np.concatenate([part[path] for part in parts]) for path in parts[0]}
        seen = [array for path, array in flat.items() if path[0] == "observations"]
        counts = [len(part["rewards",]) for part in parts]
        count = sum(counts)
        follows_gap = np.zeros(count, bool)
        follows_gap[np.cumsum([0, *counts[:-1]])] = [block.follows_gap for block in blocks]
        nothing = np.zeros((count, 0), np.float32)
        human = flat.get((IS_INTERVENTION,))
        return cls(
            np.concatenate([nothing, *(x.reshape(count, -1) for x in seen if not _is_image(x))], 1),
            np.concatenate([nothing, *(x.reshape(count, -1).mean(1)[:, None] for x in seen if _is_image(x))], 1),
            np.concatenate([x.reshape(count, -1) for path, x in flat.items() if path[0] == "actions"], 1),
            flat["rewards",].astype(np.float64),
            flat["masks",],
            flat["dones",],
            np.zeros(count, bool) if human is None else human > 0,
            np.repeat(np.array([block.actor_id for block in blocks], object), counts),
            follows_gap,
            np.concatenate([np.arange(block.first_row, block.last_row) for block in blocks]),
        )

    def __len__(self) -> int:
        return len(self.rewards)

    def __getitem__(self, chosen: slice | np.ndarray) -> Self:
        """Some of the rows."""
        return type(self)(*(getattr(self, field.name)[chosen] for field in fields(self)))

    @classmethod
    def joined(cls, parts: Sequence[Self], newest: int | None = None) -> Self:
        """The rows of several parts, the newest of them alone."""
        every = cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))
        return every if newest is None else every[max(0, len(every) - newest) :]

    def episodes(self) -> list[np.ndarray]:
        """The rows of each piece of a trajectory that reaches the end of its episode, in the order of the ends.

        The first piece of an actor may lack its beginning.
        """
        found: list[np.ndarray] = []
        for actor in dict.fromkeys(self.actors.tolist()):
            own = np.flatnonzero(self.actors == actor)
            is_last = (self.dones[own] > 0) | (self.masks[own] == 0)
            breaks = is_last | np.append(self.follows_gap[own][1:], True)
            pieces = np.split(own, np.flatnonzero(breaks) + 1)
            found += [piece for piece in pieces if len(piece) and (self.dones[piece[-1]] or not self.masks[piece[-1]])]
        return sorted(found, key=lambda piece: int(piece[-1]))


@dataclass(frozen=True)
class Evidence:
    """All that the checks look at."""

    config: TrainConfig
    updates: Sequence[Line] = ()
    """Lines with the metrics of an update, oldest first."""
    episodes: Sequence[Line] = ()
    """Lines with the figures of an episode, oldest first."""
    evaluations: Sequence[Line] = ()
    """Lines with the figures of an evaluation, oldest first."""
    transitions: Transitions | None = None
    """The newest transitions of the run, oldest first."""
    demos: Transitions | None = None
    """Transitions of the demonstrations."""
    missing_demos: str = "the run has no demonstrations"
    """The reason why there are none."""

    def newest(self, metric: str, count: int) -> np.ndarray:
        """A metric of the newest updates that have it.

        Raises:
            NotApplicable: fewer than `count` lines have it.
        """
        values = [line[metric] for line in self.updates if metric in line][-count:]
        if len(values) < count:
            raise NotApplicable(f"{len(values)} lines of the metrics have {metric}, and {count} are needed")
        return np.array(values)

    def require_transitions(self, count: int) -> Transitions:
        """The transitions of the run.

        Raises:
            NotApplicable: there are fewer than `count`.
        """
        found = 0 if self.transitions is None else len(self.transitions)
        if self.transitions is None or found < count:
            raise NotApplicable(f"the journal has {found} transitions to look at, and {count} are needed")
        return self.transitions

    def require_demos(self) -> Transitions:
        """The demonstrations.

        Raises:
            NotApplicable: there are none.
        """
        if self.demos is None or not len(self.demos):
            raise NotApplicable(self.missing_demos)
        return self.demos

    def require_episodes(self, count: int, metric: str = "return") -> list[Line]:
        """The lines of the episodes that have a figure.

        Raises:
            NotApplicable: there are fewer than `count`.
        """
        found = [line for line in self.episodes if metric in line]
        if len(found) < count:
            raise NotApplicable(f"{len(found)} episodes tell `{metric}`, and {count} are needed")
        return found


def _is_image(array: np.ndarray) -> bool:
    """True for (N, ..., height, width, channels) of bytes, and for any array that is as large as an image."""
    return (array.dtype == np.uint8 and array.ndim >= 4) or math.prod(array.shape[1:]) > _MOST_NUMBERS
