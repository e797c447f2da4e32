"""The actor's loop: steps in an environment with the newest weights, transitions out."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Protocol

import gymnasium as gym
import numpy as np

from rl.common.evaluation import ENV_SUCCESS, evaluate
from rl.data.transition import make_transition
from rl.errors import EnvironmentInterrupted, TrainingDiverged
from rl.link.frames import Weights
from rl.training.evaluation_videos import EvaluationVideos
from rl.training.recovery import Recovery, Waiting
from rl.utils.seeds import Seeds
from rl.utils.subprocesses import Stop
from rl.utils.tally import Tally

logger = logging.getLogger(__name__)

_POLL_TIMEOUT_S = 0.2  # the longest wait between two checks of the stop signal
_LATE_PERIODS = 0.1
_USUAL_HZ = 10.0  # where an environment does not say how many steps it takes in a second

EVALUATION_SEED = Seeds(0).integer("evaluation")
"""Seed of the evaluations of every run: they begin from the same states, whatever the seed of the training."""


class Policy(Protocol):
    """The part of a policy that the loop needs."""

    def sample_actions(self, observations: np.ndarray, *, argmax: bool = False) -> np.ndarray:
        """An action for an observation."""
        ...

    def load_policy_state_dict(self, state: dict[str, np.ndarray]) -> None:
        """Take newer weights."""
        ...


class Link(Waiting, Protocol):
    """The part of the way to the learner that the loop needs; `LearnerLink` says what each part does."""

    @property
    def env_steps(self) -> int:
        """Transitions of all actors, as far as this one knows."""
        ...

    def may_step(self, timeout_s: float) -> bool:
        """Whether one more step is allowed, waited for for some seconds at most."""
        ...

    def take_weights(self) -> Weights | None:
        """Newer weights, if there are any."""
        ...

    def wait_for_weights(self, timeout_s: float) -> Weights | None:
        """Take the weights as `take_weights`, and wait for them for `timeout_s` at most."""
        ...

    def send(self, transition: Mapping[str, Any]) -> None:
        """Hand over one transition."""
        ...

    def tear(self) -> None:
        """The next transition does not continue the last one."""
        ...

    def report(self, topic: Literal["episode", "evaluation"], values: Mapping[str, float]) -> None:
        """Hand over figures for the log."""
        ...


@dataclass(frozen=True)
class EvaluationPlan:
    """When and how long the policy is evaluated."""

    every_steps: int
    """Environment steps between two evaluations; 0 for never."""
    episodes: int
    seed: int
    videos: EvaluationVideos | None = None
    """Films them; None for no videos."""

    def number_of(self, env_steps: int) -> int:
        """How many evaluations are due after so many steps."""
        return env_steps // self.every_steps if self.every_steps else 0


@dataclass(frozen=True)
class ActingPlan:
    """How an actor explores."""

    random_steps: int
    """Steps of the run, by all actors, that are taken at random."""
    evaluation: EvaluationPlan
    """Evaluations in this actor's environment, between two episodes."""
    steps: int | None = None
    """Steps of the run, by all actors, after which an actor waits within an episode too; None for no such number."""


def run_actor(env: gym.Env, policy: Policy, link: Link, plan: ActingPlan, seeds: Seeds, stop: Stop) -> None:
    """Act until the learner is done or somebody stops it.

    A simulation waits for the learner's leave before each step. Where time passes by itself (`is_real_time` of the
    environment), an arm that waits in the middle of a motion would end it: such an actor waits before an episode, and
    takes more steps than it has leave for, but none after the last one of the run.

    When the environment is interrupted (`EnvironmentInterrupted`), and where a step is torn (`info["is_torn"]`), the
    trajectory ends as at a truncation, and the transition is left out. After an interruption the actor waits until the
    environment can be reset.

    Raises:
        EnvironmentFailed: the environment cannot go on, whatever anybody does.
        LinkError: the learner is gone for too long, or refuses this actor.
        TrainingDiverged: the policy gives no numbers; nothing was sent to the environment.
    """
    random_actions = seeds.generator("random_actions")
    evaluations = plan.evaluation.number_of(link.env_steps)
    recovery, torn = Recovery(link, stop), _TornSteps()
    refresh(policy, link, wait=True, stop=stop)
    observation = recovery.carry(partial(_reset, env, seeds.integer("episodes")))
    episode = _EpisodeReport(late_s := _late_s(env))
    is_real_time = env.has_wrapper_attr("is_real_time") and env.get_wrapper_attr("is_real_time")

    def may_wait() -> bool:
        is_over = plan.steps is not None and link.env_steps >= plan.steps
        return is_over or not (is_real_time and episode.is_running)

    while observation is not None and _may_step(link, stop, waits=may_wait()):
        refresh(policy, link)
        if link.env_steps < plan.random_steps:
            action = random_actions.uniform(-1.0, 1.0, env.action_space.shape).astype(np.float32)
        else:
            action = policy.sample_actions(observation)
            if not np.isfinite(action).all():
                raise TrainingDiverged(
                    f"the policy's action is {action.tolist()}: its networks are not finite any more"
                )
        try:
            next_observation, reward, terminated, truncated, info = env.step(action)
        except EnvironmentInterrupted as error:
            link.tear()
            episode = _EpisodeReport(late_s)
            observation = recovery.carry(partial(_reset, env, None), error)
            continue
        if info.get("is_torn"):
            link.tear()
            torn.note(info)
        else:
            link.send(make_transition(observation, action, next_observation, reward, terminated, truncated, info))
        episode.add(float(reward), info)
        observation = next_observation
        if terminated or truncated:
            link.report("episode", episode.take(info))
            seed = None
            if plan.evaluation.number_of(link.env_steps) > evaluations:
                evaluations = plan.evaluation.number_of(link.env_steps)
                recovery.carry(lambda: evaluate_and_report(env, policy, link, plan.evaluation))
                # The evaluation seeded the environment: without a new seed every episode after it would come again.
                seed = seeds.integer(f"episodes after evaluation {evaluations}")
            if link.is_finished:  # no arm moves for an episode that nobody wants
                break
            observation = recovery.carry(partial(_reset, env, seed))
    if plan.evaluation.every_steps and link.is_finished:
        refresh(policy, link)
        recovery.carry(lambda: evaluate_and_report(env, policy, link, plan.evaluation))


def run_evaluator(env: gym.Env, policy: Policy, link: Link, plan: EvaluationPlan, stop: Stop) -> None:
    """Evaluate the learner's newest weights whenever it is time, and once more in the end."""
    done, recovery = -1, Recovery(link, stop)
    while not link.is_finished and not stop.is_set():
        if plan.number_of(link.env_steps) > done and refresh(policy, link, wait=True, stop=stop):
            done = plan.number_of(link.env_steps)
            recovery.carry(lambda: evaluate_and_report(env, policy, link, plan))
        stop.wait(_POLL_TIMEOUT_S)
    if link.is_finished:
        refresh(policy, link)
        recovery.carry(lambda: evaluate_and_report(env, policy, link, plan))


def refresh(policy: Policy, link: Link, *, wait: bool = False, stop: Stop | None = None) -> bool:
    """Give the policy the newest weights, between two steps; True when there were any."""
    weights = link.take_weights()
    while weights is None and wait and not (stop and stop.is_set()) and not link.is_finished:
        weights = link.wait_for_weights(_POLL_TIMEOUT_S)
    if weights is not None:
        policy.load_policy_state_dict(weights.policy)
    return weights is not None


def evaluate_and_report(env: gym.Env, policy: Policy, link: Link, plan: EvaluationPlan) -> None:
    """Evaluate without exploration noise, always from the same starts, and report."""
    env_steps = link.env_steps
    with nullcontext(env) if plan.videos is None else plan.videos.filming(env, env_steps) as shown:
        summary = evaluate(
            lambda observation: policy.sample_actions(observation, argmax=True), shown, plan.episodes, plan.seed
        )
    link.report("evaluation", {**summary, "env_steps": float(env_steps)})


def _reset(env: gym.Env, seed: int | None) -> Any:
    """The first observation of an episode."""
    return env.reset(seed=seed)[0]


def _may_step(link: Link, stop: Stop, *, waits: bool) -> bool:
    """Wait for the learner's leave, or only look for the end; False at the end."""
    if not waits:
        return not stop.is_set() and not link.is_finished
    while not stop.is_set():
        if link.may_step(_POLL_TIMEOUT_S):
            return True
        if link.is_finished:
            return False
    return False


class _TornSteps:
    """Says that transitions are left out, at the first, the tenth, the hundredth and so on."""

    def __init__(self) -> None:
        self._tally = Tally()

    def note(self, info: Mapping[str, Any]) -> None:
        if self._tally.is_time_to_say():
            logger.warning(
                "%d steps so far did not follow from their actions alone and are left out; the last one took %.2f s "
                "longer than its period, or somebody else moved the robot before it, or its cell stopped it",
                *(self._tally.count, info.get("overrun_s", 0.0)),
            )


def _late_s(env: gym.Env) -> float:
    """The time by which a step has to be too long to be called late: a tenth of its period, as far as that is known."""
    return _LATE_PERIODS / (env.metadata.get("render_fps") or _USUAL_HZ)


class _EpisodeReport:
    """Sums up the episode that is running.

    Args:
        late_s: a step that takes so much longer than its period is late.
    """

    def __init__(self, late_s: float) -> None:
        self._late_s = late_s
        self._begin()

    def _begin(self) -> None:
        self._return, self._length = 0.0, 0
        self._interventions, self._intervened_steps, self._is_intervened = 0, 0, False
        self._late_steps, self._torn_steps = 0, 0

    @property
    def is_running(self) -> bool:
        """Whether a step of it was taken."""
        return self._length > 0

    def add(self, reward: float, info: Mapping[str, Any]) -> None:
        is_intervened = "intervene_action" in info
        self._late_steps += info.get("overrun_s", 0.0) > self._late_s
        self._torn_steps += bool(info.get("is_torn"))
        self._return += reward
        self._length += 1
        self._interventions += is_intervened and not self._is_intervened
        self._intervened_steps += is_intervened
        self._is_intervened = is_intervened

    def take(self, info: dict[str, Any]) -> dict[str, float]:
        """The figures of the finished episode; the next one begins."""
        values = {
            "return": self._return,
            "length": float(self._length),
            "interventions": float(self._interventions),
            "intervened_steps": float(self._intervened_steps),
        }
        values |= {name: float(np.all(info[name])) for name in ("success", ENV_SUCCESS) if name in info}
        if "overrun_s" in info:
            values |= {"late_steps": float(self._late_steps), "torn_steps": float(self._torn_steps)}
        self._begin()
        return values
