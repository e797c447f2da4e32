"""`ClassifierReward`: the prediction of a trained reward classifier is the only reward, and the only success."""

from __future__ import annotations

from os import PathLike
from typing import Any

import gymnasium as gym
import numpy as np

from rl.common.evaluation import ENV_SUCCESS
from rl.errors import ConfigError
from rl.networks.reward_function import RewardClassifier, load_reward_classifier
from rl.wrappers.pixel_observation import PixelObservation


class ClassifierReward(gym.Wrapper):
    """A reward of 1, and the end of the episode, when the classifier predicts success by its threshold; 0 before.

    `info["success"]` is the prediction and `info["success_probability"]` its probability. The environment's own success
    moves to `info["env_success"]`: it neither pays nor ends an episode, but tells an evaluation which predictions are
    false. Other ends of the environment, and time limits, stay.

    Args:
        env: its observation holds the cameras of the classifier, of any square size.
        classifier: predicts success from the observation of each step.

    Raises:
        ConfigError: a camera is missing, or it is an n-way classifier.
    """

    def __init__(self, env: gym.Env, classifier: RewardClassifier) -> None:
        super().__init__(env)
        PixelObservation(env, classifier.image_keys)  # refuses an observation without these cameras
        if classifier.facts.classes:
            raise ConfigError(
                f"it tells {', '.join(classifier.facts.classes)} apart, none of which is success: train one on "
                "frames that show success and frames that do not"
            )
        self._classifier = classifier

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Step, and replace reward and success by the prediction."""
        observation, _, terminated, truncated, info = self.env.step(action)
        if "success" in info:
            info[ENV_SUCCESS] = bool(np.all(info["success"]))
            terminated = terminated and not info[ENV_SUCCESS]
        probability = self._classifier.probability(observation)
        prediction = probability >= self._classifier.facts.threshold
        info |= {"success": prediction, "is_success": prediction, "success_probability": probability}
        return observation, float(prediction), terminated or prediction, truncated, info


def add_classifier_reward(env: gym.Env, directory: str | PathLike[str]) -> gym.Env:
    """The environment with the classifier of a directory as its reward.

    Raises:
        ConfigError: the environment lacks a camera of the classifier, or it is an n-way classifier.
        CheckpointError: there is no classifier in the directory.
    """
    try:
        return ClassifierReward(env, load_reward_classifier(directory))
    except ConfigError as error:
        raise ConfigError(
            f"the reward classifier in {directory} cannot be used in this environment: {error}"
        ) from error
