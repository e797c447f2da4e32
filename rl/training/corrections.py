"""`Corrections`: the journal of a run in which a person corrects the policy, and the steps that the person took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from rl.common.typing import Batch
from rl.data.journal import TransitionJournal, gap_info
from rl.data.schema import IS_INTERVENTION
from rl.data.spaces import describe_spaces
from rl.utils.tree import map_leaves, stack

_ACTOR = "hg-dagger"


class Corrections:
    """Keeps every step of the policy and of the person on disk, and the person's in memory.

    An episode that was broken off is taken again, and the person's steps in its first part stay.

    Args:
        path: of the journal; made when it is missing.
        observation_space: of the environment as the policy sees it.
        action_space: likewise.

    Raises:
        JournalError: the file is no journal, or one of other spaces.
    """

    def __init__(self, path: Path, observation_space: gym.Space[Any], action_space: gym.Space[Any]) -> None:
        self._journal = TransitionJournal(path, metadata=describe_spaces(observation_space, action_space))
        self._by_person: list[tuple[int, Batch]] = []
        self._figures: dict[int, dict[str, float]] = {}
        self._is_open = False
        for block in self._journal.blocks():
            self._take(block.transitions, block.info)

    def __enter__(self) -> Corrections:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._journal.close()

    @property
    def episodes(self) -> int:
        """Episodes that came to their end."""
        return max(self._figures, default=-1) + 1

    def append(
        self, episode: int, transitions: Sequence[Mapping[str, Any]], figures: Mapping[str, float] | None
    ) -> None:
        """Store steps that follow each other, durably.

        Args:
            episode: its number in the run.
            transitions: as `make_transition` gives them.
            figures: of the whole episode, with its last steps; None before.

        Raises:
            JournalError: the file cannot be written.
        """
        batch = stack(list(transitions))
        # Where the steps before did not end their episode, they were cut: these begin after a gap.
        info = {"episode": episode, "figures": figures and dict(figures), **(gap_info(self._is_open) or {})}
        self._journal.append(_ACTOR, self._journal.last_sequence(_ACTOR) + 1, batch, info)
        self._take(batch, info)

    def note_end(self, episode: int, figures: Mapping[str, float]) -> None:
        """Count an episode that came to its end, also one of which no step could be kept."""
        self._figures[episode] = dict(figures)

    def steps_before(self, episode: int) -> list[Batch]:
        """The person's steps in the episodes before this one: `observations`, and the executed `actions` (N, A)."""
        return [batch for number, batch in self._by_person if number < episode]

    def figures_of(self, episodes: range) -> list[dict[str, float]]:
        """The figures of those of these episodes that came to their end."""
        return [self._figures[number] for number in episodes if number in self._figures]

    def _take(self, batch: Batch, info: Mapping[str, Any]) -> None:
        by_person = np.asarray(batch[IS_INTERVENTION]) > 0
        if by_person.any():
            shown = {name: batch[name] for name in ("observations", "actions")}
            self._by_person.append((info["episode"], map_leaves(lambda field: field[by_person], shown)))
        if info["figures"] is not None:
            self._figures[info["episode"]] = info["figures"]
        self._is_open = not batch["dones"][-1]
