"""`NWayRewardClassifier`: success is one of several classes."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np

from envs.wrappers.reward_classifier import Classifier, JudgedReward, Verdict
from robotkit import InvalidConfiguration


class NWayRewardClassifier(JudgedReward):
    """Reward 1 and success where the success class is the likeliest, and likely enough.

    Args:
        env: what is wrapped.
        classifier: gives one logit a class.
        success_class: which of them is success.
        min_probability: what its softmax must reach; 0 asks only that it is the largest.
        terminates: whether success ends the episode.
    """

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        classifier: Classifier,
        success_class: int,
        min_probability: float = 0.0,
        terminates: bool = True,
    ) -> None:
        super().__init__(env, terminates)
        if success_class < 0 or not 0.0 <= min_probability < 1.0:
            raise InvalidConfiguration(
                f"classes count from 0 and probabilities lie in [0, 1), got {success_class=}, {min_probability=}"
            )
        self._classifier = classifier
        self._success_class = success_class
        self._min_probability = min_probability

    def judge(self, observation: Any) -> Verdict:
        """Compare the classes."""
        logits = np.asarray(self._classifier(observation), dtype=np.float64).reshape(-1)
        if logits.size <= self._success_class or not np.isfinite(logits).all():
            raise InvalidConfiguration(
                f"the classifier must give a finite logit for class {self._success_class}, it gave {logits!r}"
            )
        shares = np.exp(logits - logits.max())
        probability = float(shares[self._success_class] / shares.sum())
        is_success = bool(logits.argmax() == self._success_class) and probability >= self._min_probability
        return Verdict(float(is_success), is_success, probability)
