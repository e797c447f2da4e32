"""`BinaryRewardClassifier`, `NWayRewardClassifier`: a classifier's prediction decides about success and reward."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import gymnasium
import numpy as np

from envs.wrappers.layout import keep_images, require_images
from robotkit import InvalidConfiguration

Classifier = Callable[[Any], Any]
"""An observation in, logits out: a number, or an array (or a tensor) that numpy can read."""


class Prediction(NamedTuple):
    """Reward and success that are predicted for one observation."""

    reward: float
    is_success: bool
    probability: float
    """Predicted probability of success."""


class PredictedReward(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Base: after each step `predict` sets reward and `info["success"]`, and writes `info["success_probability"]`.

    A success counts, and its reward is paid, from the last of `positive_frames` steps in a row on that are predicted as
    one; `info["positive_frames"]` tells how many there were. The env's own reward and success are replaced, so build it
    with `terminates_on_success=False`; its other ends, and time limits, stay. Penalties belong outside: success is
    never read off a reward. A torn step (`info["is_torn"]`), which nothing is learned from, neither counts nor pays.

    Args:
        env: what is wrapped.
        terminates: whether success ends the episode.
        positive_frames: steps in a row that must be predicted as success.
        hold_s: seconds that these steps must last.
    """

    def __init__(
        self, env: gymnasium.Env[Any, Any], terminates: bool = True, positive_frames: int = 1, hold_s: float = 0.0
    ) -> None:
        super().__init__(env)
        self._terminates = terminates
        self._frames_needed = frames_needed(env, positive_frames, hold_s)
        self._frames_in_a_row = 0
        self._is_torn = False

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode in which nothing was predicted."""
        self._frames_in_a_row = 0
        return super().reset(seed=seed, options=options)

    @abstractmethod
    def predict(self, observation: Any) -> Prediction:
        """Predict reward and success from the observation after a step."""

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Step, and replace reward and success by the prediction."""
        observation, _, terminated, truncated, info = self.env.step(action)
        self._is_torn = bool(info.get("is_torn"))
        prediction = self.predict(observation)
        if not prediction.is_success:
            self._frames_in_a_row = 0
        elif not self._is_torn:
            self._frames_in_a_row += 1
        waits = prediction.is_success and (self._is_torn or self._frames_in_a_row < self._frames_needed)
        is_success = prediction.is_success and not waits
        info |= {"success": is_success, "is_success": is_success, "positive_frames": self._frames_in_a_row}
        info["success_probability"] = prediction.probability
        terminated = terminated or (is_success and self._terminates)
        return observation, 0.0 if waits else prediction.reward, terminated, truncated, info


class BinaryRewardClassifier(PredictedReward):
    """Reward 1 and success where the probability of frames in a row reaches the threshold and the gate is open.

    Args:
        env: what is wrapped.
        classifier: gives one logit.
        threshold: of the probability, in (0, 1); HIL-SERL's tasks use 0.7 to 0.9.
        gate: looks at the observation and says whether success is possible at all, for example by the tool's height.
        image_keys: the images that the classifier sees; all by default.
        terminates: whether success ends the episode.
        positive_frames: steps in a row that must reach it; 1 as in SERL, where one wrong frame is a success.
        hold_s: seconds that these steps must last.
    """

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        classifier: Classifier,
        threshold: float = 0.5,
        gate: Callable[[Any], bool] | None = None,
        image_keys: Sequence[str] | None = None,
        terminates: bool = True,
        positive_frames: int = 2,
        hold_s: float = 0.0,
    ) -> None:
        super().__init__(env, terminates, positive_frames, hold_s)
        require_threshold(threshold)
        if image_keys is not None:
            require_images(type(self).__name__, env.observation_space, tuple(image_keys))
        self._classifier = classifier
        self._threshold = threshold
        self._gate = gate
        self._image_keys = image_keys

    def look(self, observation: Any) -> Any:
        """The observation that the classifier gets."""
        if self._image_keys is None:
            return observation
        keys = self._image_keys
        return keep_images(observation, lambda name: name in keys)

    def predict(self, observation: Any) -> Prediction:
        """Ask the gate, then the classifier."""
        if self._gate is not None and not self._gate(observation):
            return Prediction(0.0, False, 0.0)
        probability = sigmoid(one_logit(self._classifier(self.look(observation))))
        is_success = probability >= self._threshold
        return Prediction(float(is_success), is_success, probability)


class FrontCameraRewardClassifier(BinaryRewardClassifier):
    """A reward classifier whose images are those that a `FrontCamera` inside keeps from the policy."""

    def look(self, observation: Any) -> Any:
        """The front camera's image, and the state."""
        return self.env.get_wrapper_attr("front_observation")()


class NWayRewardClassifier(PredictedReward):
    """Reward 1 and success where the success class is the likeliest, and likely enough, in frames in a row.

    Args:
        env: what is wrapped.
        classifier: gives one logit a class.
        success_class: which of them is success.
        min_probability: what its softmax must reach; 0 asks only that it is the largest.
        terminates: whether success ends the episode.
        positive_frames: steps in a row in which it must be; 1 as in HIL-SERL.
        hold_s: seconds that these steps must last.
    """

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        classifier: Classifier,
        success_class: int,
        min_probability: float = 0.0,
        terminates: bool = True,
        positive_frames: int = 2,
        hold_s: float = 0.0,
    ) -> None:
        super().__init__(env, terminates, positive_frames, hold_s)
        if success_class < 0 or not 0.0 <= min_probability < 1.0:
            raise InvalidConfiguration(
                f"classes count from 0 and probabilities lie in [0, 1), got {success_class=}, {min_probability=}"
            )
        self._classifier = classifier
        self._success_class = success_class
        self._min_probability = min_probability

    def predict(self, observation: Any) -> Prediction:
        """Compare the classes."""
        logits = np.asarray(self._classifier(observation), dtype=np.float64).reshape(-1)
        if logits.size <= self._success_class or not np.isfinite(logits).all():
            raise InvalidConfiguration(
                f"the classifier must give a finite logit for class {self._success_class}, it gave {logits!r}"
            )
        shares = np.exp(logits - logits.max())
        probability = float(shares[self._success_class] / shares.sum())
        is_success = bool(logits.argmax() == self._success_class) and probability >= self._min_probability
        return Prediction(float(is_success), is_success, probability)


def frames_needed(env: gymnasium.Env[Any, Any], positive_frames: int, hold_s: float) -> int:
    """Frames in a row that pay: as many as `positive_frames`, and the last `hold_s` or more after the first.

    Raises:
        InvalidConfiguration: a number is out of range, or a time is asked of an env that does not tell its rate.
    """
    if positive_frames < 1 or not 0.0 <= hold_s < math.inf:
        raise InvalidConfiguration(
            f"positive_frames is at least 1 and hold_s a number of seconds from 0 on, got {positive_frames}, {hold_s}"
        )
    if not hold_s:
        return positive_frames
    steps_hz = env.metadata.get("render_fps")
    if not steps_hz:
        raise InvalidConfiguration(
            "hold_s is a time, and the env does not tell how many steps it takes a second (metadata['render_fps']): "
            "give positive_frames"
        )
    return max(positive_frames, math.ceil(hold_s * float(steps_hz) - 1e-6) + 1)


def one_logit(logits: Any) -> float:
    """The only number that a binary classifier gave.

    Raises:
        InvalidConfiguration: it gave more, or something that is not finite.
    """
    numbers = np.asarray(logits, dtype=np.float64)
    if numbers.size != 1 or not np.isfinite(numbers).all():
        raise InvalidConfiguration(f"a binary classifier gives one finite logit, got {numbers!r}")
    return float(numbers.item())


def sigmoid(logit: float) -> float:
    """The probability of a logit, without overflow."""
    return float(np.exp(-np.logaddexp(0.0, -logit)))


def require_threshold(threshold: float) -> None:
    """Raise `InvalidConfiguration` unless it can be reached and missed."""
    if not 0.0 < threshold < 1.0:
        raise InvalidConfiguration(f"a threshold of probability lies between 0 and 1, got {threshold}")
