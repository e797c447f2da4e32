"""Schedule: how environment steps and updates keep step with each other."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

_STARVED = 100  # steps for each update; SERL's own tasks on a GPU have one or a few


@dataclass(frozen=True)
class Schedule:
    """The rule of who may go on, given what both sides have done; pure arithmetic on counters.

    With `env_steps_per_update` the run has a fixed ratio of updates to data, whatever the speed of either side: the
    learner waits for data, and with `max_lead` the actors wait for the learner. Without it both run freely, as in SERL.
    """

    steps: int
    """Environment steps of the whole run."""
    training_starts: int
    """Steps before the first update."""
    env_steps_per_update: float | None
    """Steps that pay for one update."""
    max_lead: int | None
    """Steps that actors may be ahead of the updates that are due."""
    since_steps: int = 0
    """Steps before which nothing is paid for; `since_updates` were done by then."""
    since_updates: int = 0

    @property
    def _start(self) -> int:
        return max(self.training_starts, self.since_steps)

    def continued_at(self, env_steps: int, updates: int) -> Schedule:
        """The schedule that goes on from here where a run has had another one so far.

        What is more than one step behind, or ahead, stays so: a run that had no ratio, or another one, would else do
        thousands of updates before its next step, or none for as many steps.
        """
        if self.env_steps_per_update is None:
            return self
        behind = self.updates_due(env_steps) - updates
        if 0 <= behind <= max(1.0, 1.0 / self.env_steps_per_update):
            return self
        return replace(self, since_steps=env_steps, since_updates=updates)

    def updates_due(self, env_steps: int) -> float:
        """Updates that this much data pays for, in total."""
        if env_steps < self._start:
            return self.since_updates
        if self.env_steps_per_update is None:
            return math.inf
        steps = min(env_steps, self.steps) - self._start
        return self.since_updates + math.floor(steps / self.env_steps_per_update)

    def may_update(self, env_steps: int, updates: int) -> bool:
        """True when one more update is paid for."""
        return updates < self.updates_due(env_steps)

    def steps_allowed(self, updates: int) -> int:
        """Environment steps that actors may have taken, in total, after this many updates."""
        if self.max_lead is None or self.env_steps_per_update is None:
            return self.steps
        paced = self._start + (updates - self.since_updates) * self.env_steps_per_update + self.max_lead
        return min(self.steps, math.floor(paced))

    def steps_wanted(self, updates: int) -> int:
        """Environment steps that the next update waits for."""
        wanted = self._start + (updates + 1 - self.since_updates) * (self.env_steps_per_update or 0)
        return min(self.steps, math.ceil(wanted))

    def is_done(self, env_steps: int, updates: int) -> bool:
        """True when all steps are taken, and used: by the updates that a ratio pays for, or by one without a ratio."""
        if env_steps < self.steps:
            return False
        return updates > 0 if self.env_steps_per_update is None else not self.may_update(env_steps, updates)

    def has_starved(self, updates: int) -> bool:
        """True where a learner that no ratio bound did so few updates that its run has hardly begun."""
        return self.env_steps_per_update is None and updates * _STARVED < self.steps - self._start
