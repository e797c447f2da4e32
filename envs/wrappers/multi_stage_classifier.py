"""`MultiStageRewardClassifier`: a reward for several stages, each of which is achieved once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium

from envs.wrappers.reward_classifier import (
    Classifier,
    PredictedReward,
    Prediction,
    frames_needed,
    one_logit,
    require_threshold,
    sigmoid,
)
from robotkit import InvalidConfiguration


class MultiStageRewardClassifier(PredictedReward):
    """A reward of stages: each pays 1 at the step at which it is first achieved; success is when all have been.

    A stage is achieved when frames in a row have reached the threshold. `info["stages"]` says how many are.

    Args:
        env: what is wrapped.
        classifiers: one a stage, each gives one logit.
        threshold: of the probability, in (0, 1).
        in_order: a stage counts only after the ones before it; HIL-SERL lets them come in any order.
        terminates: whether success ends the episode.
        positive_frames: steps in a row that must reach the threshold of a stage; 1 as in HIL-SERL.
        hold_s: seconds that these steps must last.
    """

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        classifiers: Sequence[Classifier],
        threshold: float = 0.75,
        in_order: bool = False,
        terminates: bool = True,
        positive_frames: int = 2,
        hold_s: float = 0.0,
    ) -> None:
        super().__init__(env, terminates)
        require_threshold(threshold)
        if not classifiers:
            raise InvalidConfiguration("a task of several stages needs at least one classifier")
        self._classifiers = tuple(classifiers)
        self._threshold = threshold
        self._in_order = in_order
        self._stage_frames_needed = frames_needed(env, positive_frames, hold_s)
        self._begin()

    def _begin(self) -> None:
        self._achieved = [False] * len(self._classifiers)
        self._stage_frames = [0] * len(self._classifiers)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode in which no stage is achieved."""
        self._begin()
        return super().reset(seed=seed, options=options)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Step, predict, and count the stages."""
        *result, info = super().step(action)
        observation, reward, terminated, truncated = result
        info["stages"] = sum(self._achieved)
        return observation, reward, terminated, truncated, info

    def predict(self, observation: Any) -> Prediction:
        """Ask the classifiers of the stages that are still open."""
        reward, weakest = 0.0, 1.0
        for stage, classifier in enumerate(self._classifiers):
            if self._achieved[stage]:
                continue
            probability = sigmoid(one_logit(classifier(observation)))
            weakest = min(weakest, probability)
            if probability < self._threshold:
                self._stage_frames[stage] = 0
            elif not self._is_torn:
                self._stage_frames[stage] += 1
            if self._stage_frames[stage] >= self._stage_frames_needed and not self._is_torn:
                self._achieved[stage] = True
                reward += 1.0
            elif self._in_order:
                break
        return Prediction(reward, all(self._achieved), weakest)
