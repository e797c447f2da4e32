"""`EpisodeLink`: what the actor's loop takes for its link to the learner, for one episode whose steps are stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from rl.link.frames import Weights
from rl.training.corrections import Corrections
from rl.utils.subprocesses import Stop
from rl.utils.tree import map_leaves


class EpisodeLink:
    """Takes the steps of one episode, which ends the loop; the policy that acts is the one that is trained.

    Steps are written between episodes and while the actor waits for its robot, so that no control step waits for the
    disk.

    Args:
        corrections: where they go.
        episode: its number in the run.
        waits_for_end: whether somebody who asks for the end gets it after the episode, as in a simulation.
    """

    def __init__(self, corrections: Corrections, episode: int, *, waits_for_end: bool) -> None:
        self._corrections, self._episode, self._waits_for_end = corrections, episode, waits_for_end
        self._pieces: list[list[Mapping[str, Any]]] = [[]]
        self.figures: Mapping[str, float] | None = None
        """Figures of the episode, or of the evaluation, when it is over."""
        self.env_steps = 0
        """Steps so far."""

    @property
    def is_finished(self) -> bool:
        """True when the episode is over."""
        return self.figures is not None

    @property
    def is_held(self) -> bool:
        """True in the middle of an episode that is not to be cut."""
        return self._waits_for_end and any(self._pieces) and not self.is_finished

    def may_step(self, timeout_s: float) -> bool:
        """True until the episode is over."""
        return not self.is_finished

    def take_weights(self) -> Weights | None:
        """Return None: there are no others."""
        return None

    def wait_for_weights(self, timeout_s: float) -> Weights:
        """Return no weights: the policy has them."""
        return Weights(0, {})

    def send(self, transition: Mapping[str, Any]) -> None:
        """Take one step; the environment may reuse its arrays afterwards."""
        self._pieces[-1].append(map_leaves(lambda field: field.copy(), transition))
        self.env_steps += 1

    def tear(self) -> None:
        """The next step does not continue the last one."""
        self._pieces.append([])

    def report(self, topic: Literal["episode", "evaluation"], values: Mapping[str, float]) -> None:
        """Take the figures of the episode or of the evaluation, which is over."""
        self.figures = values
        self.flush()

    def set_waiting_for(self, reason: str | None) -> None:
        """Write what there is: a robot may be waited for for hours."""
        self.flush()

    def flush(self) -> None:
        """Write the steps that are not written yet.

        Raises:
            JournalError: the disk refuses.
        """
        pieces, self._pieces = [piece for piece in self._pieces if piece], [[]]
        for number, piece in enumerate(pieces, start=1):
            self._corrections.append(self._episode, piece, self.figures if number == len(pieces) else None)
        if self.figures is not None:
            self._corrections.note_end(self._episode, self.figures)


class EndOfEpisode:
    """A request for the end that does not cut an episode where time stands still.

    Args:
        stop: the request.
        link: knows whether the episode is held.
    """

    def __init__(self, stop: Stop, link: EpisodeLink) -> None:
        self._stop, self._link = stop, link

    def is_set(self) -> bool:
        """True when the loop should end after this step."""
        return self._stop.is_set() and not self._link.is_held

    def wait(self, timeout: float) -> bool:
        """Wait for that for some seconds at most."""
        self._stop.wait(timeout)
        return self.is_set()
