"""One actor for two learners: the task of an episode says whose policy acts and who gets its transitions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from typing import Any, Literal

import gymnasium as gym
import numpy as np

from rl.config import TrainConfig
from rl.data.schema import EXTRAS
from rl.link.client import LearnerLink
from rl.link.messages import AgentSpec
from rl.training.actor import ActingPlan, EvaluationPlan, Policy, run_actor
from rl.training.agent_factory import KINDS
from rl.training.processes import make_handshake, make_link
from rl.utils.seeds import Seeds
from rl.utils.subprocesses import Stop
from rl.wrappers.make_env import make_env

Weights = Mapping[int, dict[str, np.ndarray]]


class Turn:
    """The task whose turn it is; written by `TakesTurns`, read by everybody else."""

    def __init__(self) -> None:
        self.tasks: list[int] = []
        """The tasks of all episodes so far, the present one last."""

    @property
    def task_id(self) -> int:
        """The task of the present episode."""
        return self.tasks[-1] if self.tasks else 0


class TakesTurns(gym.Wrapper):
    """Notes the task of each episode when it starts.

    Args:
        env: its `info` at a reset holds `task_id`.
        turn: where it is noted.
    """

    def __init__(self, env: gym.Env, turn: Turn) -> None:
        super().__init__(env)
        self._turn = turn

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Reset."""
        observation, info = self.env.reset(seed=seed, options=options)
        self._turn.tasks.append(int(info["task_id"]))
        return observation, info


class TwoPolicies:
    """A policy for each task.

    Args:
        policies: by task.
        turn: whose turn it is.
    """

    def __init__(self, policies: Mapping[int, Policy], turn: Turn) -> None:
        self._policies = policies
        self._turn = turn

    def sample_actions(self, observations: Any, *, argmax: bool = False) -> np.ndarray:
        """The action of the policy whose turn it is."""
        return self._policies[self._turn.task_id].sample_actions(observations, argmax=argmax)

    def load_policy_state_dict(self, state: Weights) -> None:
        """Take newer weights of either."""
        for task_id, weights in state.items():
            self._policies[task_id].load_policy_state_dict(weights)


@dataclass(frozen=True)
class NewWeights:
    """The weights that one learner, or both, have published."""

    policy: Weights


class TwoLearners:
    """Two links that look like one to the actor's loop; it ends when both learners have finished.

    The first weights wait until both learners have published some. While one has finished and the other has not, the
    finished one's policy goes on setting up the other's episodes, and its transitions are nobody's.

    Args:
        links: by task.
        turn: whose turn it is.
    """

    def __init__(self, links: Mapping[int, LearnerLink], turn: Turn) -> None:
        self._links = links
        self._turn = turn
        self._waiting: dict[int, dict[str, np.ndarray]] = {}
        self._has_begun = False
        self._finished: set[int] = set()

    @property
    def _active(self) -> LearnerLink:
        return self._links[self._turn.task_id]

    @property
    def env_steps(self) -> int:
        """Transitions of the task whose turn it is."""
        return self._active.env_steps

    @property
    def is_finished(self) -> bool:
        """True when both learners have said so."""
        return all(self._has_finished(task_id) for task_id in self._links)

    def may_step(self, timeout_s: float) -> bool:
        """Wait until the learner whose turn it is allows one more step."""
        if self._has_finished(self._turn.task_id):
            return not self.is_finished
        return self._active.may_step(timeout_s)

    def send(self, transition: Mapping[str, Any]) -> None:
        """Queue one transition for the learner whose turn it is."""
        if not self._has_finished(self._turn.task_id):
            self._active.send(transition)

    def tear(self) -> None:
        """The next transition continues none of the last ones."""
        for link in self._links.values():
            link.tear()

    def set_waiting_for(self, reason: str | None) -> None:
        """Let both learners know what keeps the actor from going on."""
        for link in self._links.values():
            link.set_waiting_for(reason)

    def report(self, topic: Literal["episode", "evaluation"], values: Mapping[str, float]) -> None:
        """Queue figures for the log of the learner whose turn it is."""
        self._active.report(topic, values)

    def take_weights(self) -> NewWeights | None:
        """The weights that either learner published since the last call; the first time those of both."""
        for task_id, link in self._links.items():
            weights = link.take_weights()
            if weights is not None:
                self._waiting[task_id] = weights.policy
        return self._taken()

    def wait_for_weights(self, timeout_s: float) -> NewWeights | None:
        """Do the work of `take_weights`, and wait for the weights that are missing."""
        for task_id, link in self._links.items():
            weights = None if task_id in self._waiting else link.wait_for_weights(timeout_s)
            if weights is not None:
                self._waiting[task_id] = weights.policy
        return self._taken()

    def _has_finished(self, task_id: int) -> bool:
        # A learner that has finished hangs up, and its link would take that for a fault: it is not asked again.
        if task_id not in self._finished and self._links[task_id].is_finished:
            self._finished.add(task_id)
        return task_id in self._finished

    def _taken(self) -> NewWeights | None:
        self._has_begun = self._has_begun or len(self._waiting) == len(self._links)
        if not self._waiting or not self._has_begun:
            return None
        taken, self._waiting = NewWeights(self._waiting), {}
        return taken


def run_actor_of_two(config: TrainConfig, ports: Sequence[int], stop: Stop) -> None:
    """The actor's process.

    Args:
        config: of both learners, which differ in their ports alone.
        ports: of the learners, by task.
        stop: asks for the end.
    """
    turn = Turn()
    env = TakesTurns(make_env(config.env, config.cell, config.adaptation(), human=config.human), turn)
    spec = AgentSpec.of(config.env, env, EXTRAS)
    kind, seeds = KINDS[config.agent_name], Seeds(config.seed)
    with ExitStack() as stack:
        stack.enter_context(closing(env))
        links = {
            task_id: stack.enter_context(
                make_link(
                    replace(config, link=replace(config.link, port=port)),
                    spec,
                    make_handshake("actor-0", spec, "actor"),
                )
            )
            for task_id, port in enumerate(ports)
        }
        # A restarted actor must not live through the same episodes again.
        steps = sum(link.handshake_reply.env_steps for link in links.values())
        own = Seeds(seeds.integer(f"actor-0 from step {steps}"))
        policies = {task_id: kind.make_policy(config, spec, own.integer(f"policy {task_id}")) for task_id in links}
        plan = ActingPlan(config.random_steps, EvaluationPlan(0, 1, 0))
        run_actor(env, TwoPolicies(policies, turn), TwoLearners(links, turn), plan, own, stop)  # type: ignore[arg-type]
