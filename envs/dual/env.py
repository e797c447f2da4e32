"""`DualArmEnv`: two single-arm environments as one, for a task that takes two arms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from itertools import zip_longest
from typing import Any, TypeVar

import gymnasium
import numpy as np
from gymnasium.error import ResetNeeded

from envs.core import ManipulationEnv, Observation
from envs.dual.layout import (
    ARMS,
    Env,
    join_infos,
    join_observations,
    joined_action_space,
    joined_observation_space,
    split_options,
)
from envs.images import fit_image
from envs.tasks.task import Outcome
from envs.wrappers.action_view import INTERVENE_ACTION, INTERVENE_HOLD
from robotkit import InvalidCommand, InvalidConfiguration
from robotkit.meeting import Meeting

CombineOutcomes = Callable[[Outcome, Outcome], Outcome]
"""The outcome of both arms, from those of the left and the right one."""
ResultT = TypeVar("ResultT")
_HOLD_PERIOD_S = 0.05
"""Time between two holds of arms that Ctrl+C has interrupted, until neither is on its way."""


def both(left: Outcome, right: Outcome) -> Outcome:
    """Return the outcome of both arms: done when both are at the same time, worth the lower reward (HIL-SERL: `and`).

    An arm that is done waits for the other one; an arm that failed ends the episode for both.
    """
    arms = (left, right)
    has_failed = any(arm.is_terminated and not arm.is_success for arm in arms)
    is_over = has_failed or all(arm.is_terminated for arm in arms)
    return Outcome(min(arm.reward for arm in arms), all(arm.is_success for arm in arms), is_over)


class DualArmEnv(gymnasium.Env[Observation, np.ndarray]):
    """Two arms, each in a workcell of its own, that are commanded together (HIL-SERL's `DualFrankaEnv`).

    Actions are the left arm's numbers, then the right one's. State entries, images and reset options are called
    `left/…` and `right/…`, and so is what each arm's `info` holds. Of both together, `info` says `success`, where there
    are grippers `gripper_changed` and `grasp_penalty` (the sum), and where a human steered at least one arm
    `intervene_action`: what both did, the other arm by the policy.

    Why two workcells and not one with two arms: a cell is one arm with its clock, its safety layer and its stop, and
    all of that then holds for each arm as it is. The two may be different bodies, one of them remote, and every wrapper
    of a single arm is one of half a pair. Poses are told in the base frame of the arm they belong to. In simulation
    each arm has a world to itself, unless the cells share one (`make_workcell_in`): then its time passes, and it is
    reset, for both at once.

    What concerns one arm goes around that arm, before the two are joined (or later, by `each_arm`): `GripperPenalty`,
    `GripperClose`, `TeleopIntervention`, `RelativeFrame`, `Quat2Euler`, `ZOnly`. What concerns the task goes around the
    pair: `SERLObsWrapper`, reward classifiers, `ChunkingWrapper`, `EpisodeStatistics`.

    Both arms are asked whether they can go on before either of them is sent anything. In lock-step one arm is stepped
    after the other, which neither of them can tell. Where a clock runs by itself, or both stand in one world, each arm
    has a thread, so that both are commanded at once and a step takes one period. When an arm fails, both are told to
    hold, the error goes on to the caller with a note which arm it was, and the next thing is a `reset`. (A thread of
    HIL-SERL's dies with its error, and the pair goes on with old observations.)

    `is_real_time` is true where the clock of one of them runs by itself.

    Args:
        left: the left arm's environment; its state is a dict.
        right: the right arm's.
        combine: makes reward, success and end of the pair from those of both arms.

    Raises:
        InvalidConfiguration: a state or an action is not what can be joined, the arms share a cell, or their control
            periods or render modes differ.
    """

    def __init__(self, left: Env, right: Env, combine: CombineOutcomes = both) -> None:
        _check_cells(left, right)
        self.arms: Mapping[str, Env] = dict(zip(ARMS, (left, right), strict=True))
        self.combine = combine
        self.metadata, self.render_mode = left.metadata, left.render_mode
        self.action_space = joined_action_space(left, right)
        self.observation_space = joined_observation_space(left, right)
        self._left_size = gymnasium.spaces.flatdim(left.action_space)
        self.is_real_time = any(core.is_real_time for core in _cores(left, right))
        self._meeting = _meeting_of(left, right)
        self._threads: ThreadPoolExecutor | None = None
        self._is_running = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Bring both arms to their start, at the same time where a step is.

        Args:
            seed: from it each arm's is drawn; without one both go on with draws of their own.
            options: of the arms' tasks, such as `{"left/tcp_pose": pose}`.

        Raises:
            InvalidConfiguration: an option belongs to neither arm; and whatever an arm's own `reset` raises.
        """
        super().reset(seed=seed)
        seeds = (None, None) if seed is None else self.np_random.integers(2**31, size=2).tolist()
        seed_of, options_of = dict(zip(ARMS, seeds, strict=True)), split_options(options or {})
        self._ask(ManipulationEnv.require_resettable)
        starts = self._each(lambda arm: self.arms[arm].reset(seed=seed_of[arm], options=options_of[arm]))
        observations, infos = zip(*starts, strict=True)
        outcome = self.combine(*(Outcome(0.0, bool(info["success"]), False) for info in infos))
        return join_observations(observations), _info(infos, outcome)

    def step(self, action: np.ndarray) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Command both arms, let one control period pass, measure and evaluate both.

        Raises:
            InvalidCommand: the action has a wrong shape or is not finite; nothing was sent.
            ResetNeeded: no episode runs, or an arm has failed since the last reset.
        """
        if not self._is_running:
            raise ResetNeeded("reset() must be called before the first step(), and after an arm has failed")
        given = self._split(action)
        self._ask(ManipulationEnv.require_steppable)
        steps = self._each(lambda arm: self.arms[arm].step(given[arm]))
        observations, rewards, terminations, truncations, infos = zip(*steps, strict=True)
        outcomes = zip(rewards, infos, terminations, strict=True)
        outcome = self.combine(
            *(Outcome(float(reward), bool(info["success"]), ends) for reward, info, ends in outcomes)
        )
        info = _info(infos, outcome)
        if any(INTERVENE_ACTION in part for part in infos):
            done = [part.get(INTERVENE_ACTION, given[arm]) for arm, part in zip(ARMS, infos, strict=True)]
            info[INTERVENE_ACTION] = np.concatenate(done)
            info[INTERVENE_HOLD] = all(part.get(INTERVENE_HOLD, False) for part in infos if INTERVENE_ACTION in part)
        return join_observations(observations), outcome.reward, outcome.is_terminated, any(truncations), info

    def hold(self) -> None:
        """See `ManipulationEnv.hold`; each arm is told so, also when the other one fails."""
        with ExitStack() as stack:
            for core in _cores(*self.arms.values()):
                stack.callback(core.hold)

    def recover_simulation(self) -> str | None:
        """Recover simulations of this process that their own cells stopped; see `recover_own_simulation`."""
        causes = [core.recover_simulation() for core in _cores(*self.arms.values())]
        return "; ".join(cause for cause in causes if cause is not None) or None

    def allow_interventions(self, allowed: bool) -> None:
        """See `TeleopIntervention.allow_interventions`; an arm at which nobody can take over stays as it is."""
        for env in self.arms.values():
            if env.has_wrapper_attr("allow_interventions"):
                env.get_wrapper_attr("allow_interventions")(allowed)

    def render(self) -> np.ndarray | None:
        """Return both arms' images beside each other, uint8 (height, width, 3); None without a render mode."""
        if self.render_mode is None:
            return None
        left, right = (np.asarray(env.render()) for env in self.arms.values())
        return np.concatenate((left, fit_image(right, (left.shape[0], left.shape[1]))), axis=1)

    def close(self) -> None:
        """Close both environments, each also when the other one fails."""
        with ExitStack() as stack:
            for env in self.arms.values():
                stack.callback(env.close)
            if self._threads is not None:
                stack.callback(self._threads.shutdown)
                self._threads = None

    def _ask(self, require: Callable[[ManipulationEnv], None]) -> None:
        """Require something of both arms, before either of them moves."""

        def ask(arm: str) -> None:
            for core in _cores(self.arms[arm]):
                require(core)

        self._each(ask)

    def _each(self, act: Callable[[str], ResultT]) -> list[ResultT]:
        """`act` of each arm's name; when it raises, both arms hold and no episode runs any more."""
        self._is_running = False
        try:
            is_at_once = self.is_real_time or self._meeting is not None
            results = self._at_once(act) if is_at_once else [_naming(act, arm) for arm in ARMS]
        except BaseException as error:
            self._hold(error)
            raise
        self._is_running = True
        return results

    def _at_once(self, act: Callable[[str], ResultT]) -> list[ResultT]:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(len(ARMS), thread_name_prefix="arms")
        futures: list[Future[ResultT]] = []
        try:
            self._meet()
            for arm in ARMS:
                futures.append(self._threads.submit(self._take_part, act, arm))
            wait(futures)
        except BaseException as error:  # Ctrl+C, or no thread could be had
            self._end(futures, error)
            raise
        errors = [error for error in (future.exception() for future in futures) if error is not None]
        for other in errors[1:]:
            errors[0].add_note(f"and the other arm: {other!r}")
        return [future.result() for future in futures]

    def _end(self, futures: list[Future[ResultT]], error: BaseException) -> None:
        """Let no further arm begin, and wait for one on its way: it would send on after it was told to hold.

        It is told so meanwhile too, which ends a joint motion.
        """
        for arm, future in zip_longest(ARMS, futures):
            if future is None or future.cancel():
                self._leave(arm)
        is_over = False
        while not is_over:
            self._hold(error)
            is_over = not wait(futures, _HOLD_PERIOD_S).not_done
        threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown(cancel_futures=True)  # also of an arm whose future was lost to Ctrl+C

    def _take_part(self, act: Callable[[str], ResultT], arm: str) -> ResultT:
        try:
            return _naming(act, arm)
        finally:
            self._leave(arm)

    def _meet(self) -> None:
        """From now on the world that both arms stand in does nothing for one of them alone."""
        if self._meeting is not None:
            self._meeting.open(core.workcell.world for core in _cores(*self.arms.values()))

    def _leave(self, arm: str) -> None:
        """Let the world go on without this arm."""
        if self._meeting is not None:
            for core in _cores(self.arms[arm]):
                self._meeting.leave(core.workcell.world)

    def _hold(self, error: BaseException) -> None:
        """Hold both arms; what keeps one from it is noted on the error that is on its way to the caller."""
        for arm, env in self.arms.items():
            for core in _cores(env):
                try:
                    core.workcell.robot.hold()
                except Exception as trouble:
                    note = f"the {arm} arm could not be told to hold: {trouble!r}"
                    if note not in getattr(error, "__notes__", ()):
                        error.add_note(note)

    def _split(self, action: np.ndarray) -> dict[str, np.ndarray]:
        numbers = np.asarray(action, dtype=self.action_space.dtype)
        if numbers.shape != self.action_space.shape or not np.isfinite(numbers).all():
            raise InvalidCommand(
                f"an action of two arms has shape {self.action_space.shape}, the left one's {self._left_size} numbers "
                f"first, all finite; got shape {numbers.shape}: {numbers.tolist()}"
            )
        return {"left": numbers[: self._left_size], "right": numbers[self._left_size :]}


def each_arm(env: DualArmEnv, left: Callable[[Env], Env], right: Callable[[Env], Env] | None = None) -> DualArmEnv:
    """Put a wrapper around each arm of the pair: `each_arm(env, RelativeFrame)` is HIL-SERL's `DualRelativeFrame`.

    Args:
        env: a pair that nothing is wrapped around yet.
        left: wraps the left arm's environment.
        right: wraps the right arm's; as `left` when there is none.
    """
    return DualArmEnv(left(env.arms["left"]), (right or left)(env.arms["right"]), env.combine)


def _info(infos: tuple[dict[str, Any], ...], outcome: Outcome) -> dict[str, Any]:
    return {**join_infos(infos), **outcome.info, "success": outcome.is_success, "is_success": outcome.is_success}


def _naming(act: Callable[[str], ResultT], arm: str) -> ResultT:
    try:
        return act(arm)
    except BaseException as error:
        error.add_note(f"this was the {arm} arm; both were told to hold")
        raise


def _cores(*envs: Env) -> list[ManipulationEnv]:
    """Return those of the environments that stand in a workcell, without their wrappers."""
    return [core for core in (env.unwrapped for env in envs) if isinstance(core, ManipulationEnv)]


def _meeting_of(left: Env, right: Env) -> Meeting | None:
    """Where the two cells of one world meet; None where each arm has its own."""
    worlds = [core.workcell.world for core in _cores(left, right)]
    meetings = [None if world is None else world.meeting for world in worlds]
    return meetings[0] if len(meetings) == 2 and meetings[0] is meetings[1] else None


def _check_cells(left: Env, right: Env) -> None:
    cores = _cores(left, right)
    if len({id(core.workcell) for core in cores}) < len(cores):
        raise InvalidConfiguration(
            f"two arms need a workcell each, and both environments stand in {cores[0].workcell.name!r}"
        )
    periods_s = sorted({core.task.control_period_s for core in cores})
    if len(periods_s) > 1 or left.render_mode != right.render_mode:
        raise InvalidConfiguration(
            f"two arms are commanded together: their environments need one control period, got {periods_s} s, and one "
            f"render mode, got {left.render_mode} and {right.render_mode}"
        )
