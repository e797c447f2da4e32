"""The learner's loop: transitions in, updates, weights out."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable

from rl.link.frames import Weights
from rl.link.hub import LearnerHub
from rl.training.learned import SuccessGoal
from rl.training.replay_loader import ReplayLoader
from rl.training.trainer import Batches, LoopIntervals, Trainer
from rl.training.update_schedule import Schedule
from rl.utils.subprocesses import Stop

logger = logging.getLogger(__name__)

_POLL_TIMEOUT_S = 0.2  # the longest wait between two checks of the stop signal
_PUBLICATION_PERIOD_S = 0.1  # weights for each action of a robot at 10 Hz; more would cost the updates their time


class LearnerLoop:
    """The loop of updates over objects that are built elsewhere.

    Args:
        trainer: updates the agent, and keeps what is to be kept.
        loader: fills the replay buffer.
        hub: the actors.
        schedule: decides when to update.
        intervals: when to publish.
        goal: what ends the training before its schedule.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        trainer: Trainer,
        loader: ReplayLoader,
        hub: LearnerHub,
        schedule: Schedule,
        intervals: LoopIntervals,
        goal: SuccessGoal,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._trainer, self._loader, self._hub, self._schedule, self._intervals, self._goal = (
            trainer, loader, hub, schedule, intervals, goal,
        )  # fmt: skip
        self._progress = trainer.progress
        self._clock = clock
        self._next_publication_s = -math.inf
        self._is_unpublished = False
        self._waited_s, self._gauged_s = 0.0, clock()
        trainer.gauges.append(self._gauge)

    def gather(self, stop: Stop) -> None:
        """Let the actors act until there is enough to learn from."""
        self._publish()
        # Several actors may have taken the first steps without one of them having enough for an n-step transition.
        while self._loader.poll() < self._schedule.training_starts or not self._loader.buffered:
            if stop.is_set():
                break
            wanted = max(self._schedule.training_starts, self._loader.env_steps + 1)
            self._wait(wanted, "the first steps, before which nothing is learned")
            self._drain_reports()
        self._progress.env_steps = self._loader.env_steps

    def run(self, batches: Batches, stop: Stop) -> None:
        """Update until the schedule is done, the goal is reached or somebody stops it; save the state in the end."""
        progress, intervals = self._progress, self._intervals
        while not stop.is_set() and not self._is_done():
            progress.env_steps, progress.buffer = self._loader.poll(), self._loader.buffered
            self._drain_reports()
            if not self._may_update():
                continue
            metrics = self._trainer.update(batches)
            self._is_unpublished |= progress.updates % intervals.publish_every == 0
            if self._is_unpublished and self._clock() >= self._next_publication_s:
                self._publish()
            self._hub.grant(self._schedule.steps_allowed(progress.updates))
            self._trainer.keep(metrics, batches)
        self._publish()
        self._trainer.save(batches)
        if not stop.is_set() and self._goal.reached is None and self._schedule.has_starved(progress.updates):
            logger.warning(
                "the actors took all %d steps in the time of %d updates: the policy has hardly been trained. Go on "
                "with --resume, more --steps and --env-steps-per-update, so that actors and learner keep step, and "
                "with --max-lead, so that the actors wait",
                *(progress.env_steps, progress.updates),
            )

    def finish(self, batches: Batches, timeout_s: float, stop: Stop) -> None:
        """End the training for all actors, drain their reports until they disconnect, and save what these add.

        They evaluate once more, which takes minutes in real time; a stop, or `timeout_s`, ends the wait for it.
        """
        saved = self._progress.episodes
        self._hub.finish()
        self._say_waiting("the last evaluation and the last episodes of the actors")
        deadline_s = time.monotonic() + timeout_s
        while not (self._hub.wait_for_disconnects(_POLL_TIMEOUT_S) or stop.is_set() or time.monotonic() >= deadline_s):
            self._drain_reports()
        self._drain_reports()
        if self._progress.episodes != saved:  # an episode may end with the training's last step
            self._trainer.save(batches)

    def _is_done(self) -> bool:
        if self._goal.reached is not None:
            logger.info("%s", self._goal.reached.sentence())
            return True
        return self._schedule.is_done(self._progress.env_steps, self._progress.updates)

    def _may_update(self) -> bool:
        """True when an update is due and actors are there; else wait a little and say why."""
        progress = self._progress
        if not self._schedule.may_update(progress.env_steps, progress.updates):
            self._wait(self._schedule.steps_wanted(progress.updates), None)
            return False
        if self._hub.silence_s() > self._intervals.silence_s and progress.env_steps < self._schedule.steps:
            self._wait(progress.env_steps + 1, None)
            return False
        self._say_waiting(None)
        return True

    def _wait(self, env_steps: int, reason: str | None) -> None:
        """Wait a little for data; when nobody is there to send any, say so."""
        if self._is_unpublished:
            self._publish()
        silence_s = self._hub.silence_s()
        if silence_s == float("inf"):
            reason = "the first actor"
        elif silence_s > self._intervals.silence_s:
            reason = (
                f"an actor: none has sent a message for {self._intervals.silence_s:g} s, and updates pause meanwhile"
            )
        self._say_waiting(reason)
        begin_s = self._clock()
        self._hub.wait_for_data(env_steps, _POLL_TIMEOUT_S)
        self._waited_s += self._clock() - begin_s

    def _gauge(self) -> dict[str, float]:
        """Return the share of the time since the last line of the log that was waited for data, and the actors' lag."""
        now_s = self._clock()
        passed_s, waited_s = now_s - self._gauged_s, self._waited_s
        self._waited_s, self._gauged_s = 0.0, now_s
        lag = self._hub.lag()
        figures = {"waited_share": waited_s / passed_s} if passed_s > 0 else {}
        return figures if lag is None else {**figures, "actor_lag": float(lag)}

    def _say_waiting(self, reason: str | None) -> None:
        if reason != self._progress.waiting_for:
            logger.warning("waiting for %s", reason) if reason else logger.info("learning")
        self._progress.waiting_for = reason

    def _publish(self) -> None:
        weights = self._trainer.agent.policy_state_dict()
        self._trainer.require_sound(weights)
        self._hub.publish(Weights(self._progress.updates, weights))
        self._is_unpublished, self._next_publication_s = False, self._clock() + _PUBLICATION_PERIOD_S
        self._hub.grant(self._schedule.steps_allowed(self._progress.updates))

    def _drain_reports(self) -> None:
        for actor, report in self._hub.take_reports():
            self._trainer.note(actor, report)
            if report.topic == "evaluation":
                self._goal.note(int(report.values.get("env_steps", self._progress.env_steps)), report.values)
