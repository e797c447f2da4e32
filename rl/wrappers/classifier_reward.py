"""`ClassifierReward`: the prediction of a trained reward classifier is the only reward, and the only success."""

from __future__ import annotations

import logging
from os import PathLike
from typing import Any

import gymnasium as gym
import numpy as np

from rl.common.evaluation import ENV_SUCCESS
from rl.errors import ConfigError
from rl.networks.reward_function import RewardClassifier, load_reward_classifier
from rl.utils.option_words import option
from rl.wrappers.adapter_config import ClassifierRewardConfig
from rl.wrappers.pixel_observation import PixelObservation

logger = logging.getLogger(__name__)

_TWO_FRAMES = ClassifierRewardConfig()


class ClassifierReward(gym.Wrapper):
    """A reward of 1, and the end of the episode, when enough frames in a row pass the classifier's threshold; 0 before.

    `info["success"]` is whether it pays, `info["success_probability"]` the probability of the frame, and
    `info["positive_frames"]` how many in a row have passed. The environment's own success moves to
    `info["env_success"]`: it neither pays nor ends an episode, but tells an evaluation which predictions are false.
    Other ends of the environment, and time limits, stay: an episode that is cut before the last of the frames is
    truncated and no success. A torn step (`info["is_torn"]`), which nothing is learned from, neither counts nor pays.

    Args:
        env: its observation holds the cameras of the classifier, of any square size.
        classifier: predicts success from the observation of each step.
        config: how many frames in a row it takes.

    Raises:
        ConfigError: a camera is missing, it is an n-way classifier, or the environment does not tell the rate that a
            time needs.
    """

    def __init__(
        self, env: gym.Env, classifier: RewardClassifier, config: ClassifierRewardConfig = _TWO_FRAMES
    ) -> None:
        super().__init__(env)
        PixelObservation(env, classifier.image_keys)  # refuses an observation without these cameras
        if classifier.facts.classes:
            raise ConfigError(
                f"it tells {', '.join(classifier.facts.classes)} apart, none of which is success: train one on "
                "frames that show success and frames that do not"
            )
        self._classifier = classifier
        self._frames_needed = config.frames_needed(env.metadata.get("render_fps"))
        self._frames_in_a_row = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode in which no frame has passed."""
        self._frames_in_a_row = 0
        return super().reset(seed=seed, options=options)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Step, and replace reward and success by the prediction."""
        observation, _, terminated, truncated, info = self.env.step(action)
        if "success" in info:
            info[ENV_SUCCESS] = bool(np.all(info["success"]))
            terminated = terminated and not info[ENV_SUCCESS]
        probability = self._classifier.probability(observation)
        is_torn, passes = bool(info.get("is_torn")), probability >= self._classifier.facts.threshold
        if not passes:  # nor does a NaN
            self._frames_in_a_row = 0
        elif not is_torn:
            self._frames_in_a_row += 1
        is_paid = self._frames_in_a_row >= self._frames_needed and not is_torn
        info |= {"success": is_paid, "is_success": is_paid, "success_probability": probability}
        info["positive_frames"] = self._frames_in_a_row
        return observation, float(is_paid), terminated or is_paid, truncated, info


def add_classifier_reward(
    env: gym.Env, directory: str | PathLike[str], config: ClassifierRewardConfig = _TWO_FRAMES
) -> gym.Env:
    """The environment with the classifier of a directory as its reward.

    Raises:
        ConfigError: see `ClassifierReward` and `load_for_reward`.
        CheckpointError: there is no classifier in the directory.
    """
    classifier = load_for_reward(directory, config)
    try:
        return ClassifierReward(env, classifier, config)
    except ConfigError as error:
        raise ConfigError(
            f"the reward classifier in {directory} cannot be used in this environment: {error}"
        ) from error


def load_for_reward(directory: str | PathLike[str], config: ClassifierRewardConfig) -> RewardClassifier:
    """The classifier of a directory, as one that pays.

    Raises:
        ConfigError: its held-out figures are no better than chance, and the configuration does not allow that.
        CheckpointError: there is no classifier in the directory.
    """
    classifier = load_reward_classifier(directory)
    facts = classifier.facts
    if facts.may_as_well_guess:
        balanced, low = facts.metrics["balanced_accuracy"], facts.metrics["balanced_accuracy_low"]
        fault = (
            f"the reward classifier in {directory} is no better than chance: on held-out frames its balanced accuracy "
            f"is {balanced:.0%} ({low:.0%} at least, with 95 % confidence), and guessing has {facts.chance:.0%}"
        )
        if not config.allow_chance:
            raise ConfigError(
                f"{fault}. A policy would learn its errors: record more frames and train it again, or give "
                f"{option('classifier.allow_chance')} to use it nevertheless"
            )
        logger.warning("%s. A policy learns its errors", fault)
    return classifier
