"""`TaskGraphRewardClassifier`: several tasks, each with its own classifier, in which one prepares the next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import gymnasium

from envs.wrappers.reward_classifier import (
    Classifier,
    PredictedReward,
    Prediction,
    one_logit,
    require_threshold,
    sigmoid,
)
from robotkit import InvalidConfiguration


class TaskGraphRewardClassifier(PredictedReward):
    """Forward, backward, forward: SERL's bin relocation, and any other cycle of tasks that needs no human to reset.

    The classifier of the present task (`info["task_id"]`) predicts success. After an episode that ended in success
    the next reset goes on to the next task of the graph; after any other it tries the same one again. (SERL looked at
    the reward, where a penalty counted as a success.)

    Args:
        env: what is wrapped; with `option`, its `reset` is told the task.
        classifiers: by task, each gives one logit.
        task_graph: which task comes after which; by default each after the one before it, and the first after the last.
        threshold: of the probability, in (0, 1).
        option: name of the env's reset option that takes the task; None where the env does not care.
        look: what the classifiers get to see of an observation; for a `FrontCamera` inside, its `front_observation`.
        terminates: whether success ends the episode.
        positive_frames: steps in a row that must reach the threshold; 1 as in SERL.
        hold_s: seconds that these steps must last.
    """

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        classifiers: Mapping[int, Classifier],
        task_graph: Mapping[int, int] | None = None,
        threshold: float = 0.5,
        option: str | None = None,
        look: Callable[[Any], Any] = lambda observation: observation,
        terminates: bool = True,
        positive_frames: int = 2,
        hold_s: float = 0.0,
    ) -> None:
        super().__init__(env, terminates, positive_frames, hold_s)
        require_threshold(threshold)
        if not classifiers:
            raise InvalidConfiguration("a task graph needs at least one task with its classifier")
        tasks = list(classifiers)
        self._graph = dict(task_graph or zip(tasks, [*tasks[1:], tasks[0]], strict=True))
        if set(self._graph) != set(tasks) or not set(self._graph.values()) <= set(tasks):
            raise InvalidConfiguration(
                f"the task graph must lead from each task that has a classifier ({tasks}) to one, got {self._graph}"
            )
        self._classifiers = dict(classifiers)
        self._threshold = threshold
        self._option = option
        self._look = look
        self._was_success = False
        self.task_id = tasks[0]

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Go on to the next task if the last one was done, and tell the env."""
        if self._was_success:
            self.task_id = self._graph[self.task_id]
        self._was_success = False
        told = {} if self._option is None else {self._option: self.task_id}
        observation, info = super().reset(seed=seed, options={**(options or {}), **told} or None)
        return observation, info | {"task_id": self.task_id}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Step, predict by the present task's classifier."""
        *result, info = super().step(action)
        observation, reward, terminated, truncated = result
        info["task_id"] = self.task_id
        self._was_success = info["success"]
        return observation, reward, terminated, truncated, info

    def predict(self, observation: Any) -> Prediction:
        """Ask the present task's classifier."""
        probability = sigmoid(one_logit(self._classifiers[self.task_id](self._look(observation))))
        is_success = probability >= self._threshold
        return Prediction(float(is_success), is_success, probability)
