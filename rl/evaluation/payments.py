"""The payments of a reward classifier in a run, and which of them a person should look at."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from rl.data.journal import Block
from rl.data.labelled_frames import Frame
from rl.data.schema import IS_INTERVENTION
from rl.errors import DataError
from rl.networks.reward_function import find_image
from rl.utils.images import fit_square

SHORT, TAKEOVER_BEFORE, TAKEOVER_AFTER = "short", "takeover before", "takeover after"
"""Reasons why a payment may be false."""


@dataclass(frozen=True)
class Payment:
    """The first payment of an episode."""

    row: int
    """Number of its transition in the journal, counted from 1: the steps that the run had taken."""
    length: int | None
    """Steps of the episode up to it; None where some of them are not stored."""
    frames: tuple[Frame, ...]
    """The newest images by camera, those that were paid, oldest first."""
    follows_takeover: bool
    """Whether a person took over shortly before it."""
    precedes_takeover: bool = False
    """Whether a person took over shortly after it, in the same episode."""

    def reasons(self, least_steps: float) -> tuple[str, ...]:
        """Why it may be false.

        Args:
            least_steps: of an episode that can have succeeded; 0 where nobody knows.
        """
        found = {
            SHORT: self.length is not None and self.length < least_steps,
            TAKEOVER_BEFORE: self.follows_takeover,
            TAKEOVER_AFTER: self.precedes_takeover,
        }
        return tuple(reason for reason, holds in found.items() if holds)


@dataclass(frozen=True)
class PaidFrames:
    """The images of a payment that are kept."""

    cameras: tuple[str, ...]
    side: int
    """Height and width in pixels, those of the classifier."""
    count: int
    """Newest steps whose images are kept."""

    def of_step(self, observations: Mapping[str, Any], index: int) -> Frame:
        """The newest images of a row of stored observations.

        Raises:
            DataError: there are none of these cameras, or they are smaller than the classifier's.
        """
        row = {name: value[index] for name, value in observations.items() if name in self.cameras}
        images = {name: find_image(row, name) for name in self.cameras}
        for name, image in images.items():
            if image.shape[0] < self.side:
                raise DataError(
                    f"the run kept images of {image.shape[0]} pixels of {name}, and the classifier looks at "
                    f"{self.side}: frames that are scaled up are unlike those that it was trained on. Train the run "
                    f"with --images.size {self.side}, or a classifier on frames of --image-size {image.shape[0]}"
                )
        return {name: fit_square(image, self.side).copy() for name, image in images.items()}


@dataclass
class _Trajectory:
    """The episode that an actor is in, as far as it is stored."""

    length: int | None
    """Steps so far; None where its beginning is not stored, or a step is missing."""
    recent: deque[tuple[Mapping[str, Any], int]]
    """Observations and row in them of the newest steps."""
    takeover_steps: int
    was_steered: bool = False
    since_takeover: float = float("inf")
    """Steps since a person took over; 0 in the step in which that happens."""
    payment: Payment | None = None
    since_payment: int = 0
    next_sequence: int = field(default=0)

    def step(self, steered: bool) -> None:
        """Count a step."""
        self.length = None if self.length is None else self.length + 1
        is_takeover = steered and not self.was_steered
        self.since_takeover = 0 if is_takeover else self.since_takeover + 1
        self.was_steered = steered
        if self.payment is not None:
            self.since_payment += 1
            if is_takeover and self.since_payment <= self.takeover_steps:
                self.payment = replace(self.payment, precedes_takeover=True)


def find_payments(blocks: Iterable[Block], kept: PaidFrames, takeover_steps: int) -> Iterator[Payment]:
    """The first payment of every episode, a reward above 0, in the order in which their episodes ended.

    Args:
        blocks: of the run's journal, in its order.
        kept: which images of a payment to keep.
        takeover_steps: a person takes over shortly before or after a payment where no more steps lie between.

    Raises:
        DataError: the run kept no images that the classifier could look at.
    """
    trajectories: dict[str, _Trajectory] = {}

    def fresh(length: int | None) -> _Trajectory:
        return _Trajectory(length, deque(maxlen=kept.count), takeover_steps)

    for block in blocks:
        now = trajectories.get(block.actor_id)
        if now is None or block.first_sequence != now.next_sequence or block.follows_gap:
            if now is not None and now.payment is not None:
                yield now.payment
            # Only an actor's very first transition is known to begin an episode.
            now = fresh(0 if block.first_sequence == 0 else None)
        rows = block.transitions
        images = _observed(rows["next_observations"], kept.cameras)
        steered = rows.get(IS_INTERVENTION, np.zeros(len(rows["rewards"])))
        for index in range(len(rows["rewards"])):
            now.step(bool(steered[index]))
            now.recent.append((images, index))
            if rows["rewards"][index] > 0 and now.payment is None:
                frames = tuple(kept.of_step(*one) for one in now.recent)
                follows = now.since_takeover < takeover_steps
                now.payment = Payment(block.first_row + index + 1, now.length, frames, follows)
            if rows["dones"][index]:
                if now.payment is not None:
                    yield now.payment
                now = fresh(0)
        now.next_sequence = block.first_sequence + len(rows["rewards"])
        trajectories[block.actor_id] = now
    for now in trajectories.values():
        if now.payment is not None:
            yield now.payment


def _observed(observations: Any, cameras: Sequence[str]) -> Mapping[str, Any]:
    """The observations of a block, which hold the classifier's cameras.

    Raises:
        DataError: they do not.
    """
    held = tuple(observations) if isinstance(observations, Mapping) else ()
    if missing := [name for name in cameras if name not in held]:
        raise DataError(
            f"the run kept no images of {', '.join(missing)}, which the classifier looks at; it kept: "
            f"{', '.join(held) or 'vectors alone'}. What its agent does not see is not stored: record frames like "
            "those of its payments with `robotkit-train record success`"
        )
    assert isinstance(observations, Mapping)
    return observations
