"""`HumanSuccessKey`: a person holds a key when the task has succeeded."""

from __future__ import annotations

from typing import Any

import gymnasium

from envs.wrappers.reward_classifier import PredictedReward, Prediction
from robotkit import BaseTeleop, InvalidConfiguration


class HumanSuccessKey(PredictedReward):
    """Every step during which the key is down is a success, while the episode runs and not when it is over.

    Args:
        env: what is wrapped.
        teleop: the device with the key, such as the keyboard, whose button 0 is the space bar; it is connected at the
            first reset and disconnected by `close`.
        button: which of its buttons.
        terminates: whether success ends the episode; False to label frames for a classifier.
    """

    def __init__(
        self, env: gymnasium.Env[Any, Any], teleop: BaseTeleop, button: int = 0, terminates: bool = True
    ) -> None:
        super().__init__(env, terminates)
        self._teleop = teleop
        self._button = button

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Reset, with the device connected."""
        self._teleop.connect()
        return super().reset(seed=seed, options=options)

    def predict(self, observation: Any) -> Prediction:
        """Look at the key.

        Raises:
            InvalidConfiguration: the device has no such button.
        """
        buttons = self._teleop.read().buttons
        if self._button >= len(buttons):
            raise InvalidConfiguration(
                f"button {self._button} marks success, but the device has {len(buttons)} buttons"
            )
        is_success = buttons[self._button]
        return Prediction(float(is_success), is_success, float(is_success))

    def close(self) -> None:
        """Let the device go and close the env."""
        self._teleop.disconnect()
        super().close()
