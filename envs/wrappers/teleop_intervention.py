"""`TeleopIntervention`: a person takes over while the teleoperation device is moved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from envs.wrappers.action_view import INTERVENE_ACTION, INTERVENE_HOLD
from robotkit import BaseTeleop, InvalidConfiguration
from robotkit.schema import TeleopReading


class TeleopIntervention(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Interventions of a person: while somebody steers, the device's action is executed instead of the policy's.

    The action that was executed then stands in `info["intervene_action"]`, which is absent otherwise: who stores
    transitions stores it. Wrappers outside that change the meaning of actions map it back to the policy's frame, so
    this one belongs next to the env, inside `RelativeFrame`. Every `info` holds `teleop_buttons`, a bool for each.

    Translation and rotation are shortened to length 1 each, so that in any frame no number leaves [-1, 1].

    Args:
        env: its actions are translation and rotation in the base frame, and a gripper's number if there is a seventh.
        teleop: a SpaceMouse, a gamepad, a keyboard, a script; connected at the first reset, disconnected by `close`.
        hold_steps: the human stays in charge for so many steps after the hand came to rest (SERL: 0.5 s, so that a
            pause does not hand over to the policy in mid-motion; 0 as in HIL-SERL). These steps are told by
            `info["intervene_hold"]`: they keep the arm still and show nothing that a policy should imitate.
        action_indices: the numbers of the action that the hand moves, 0 to 5; all by default, the others stay 0.
        close_button: button that closes the gripper; None for none, as where that button means success.
        open_button: button that opens it. Without either the gripper is left as it is.
    """

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        teleop: BaseTeleop,
        hold_steps: int = 5,
        action_indices: Sequence[int] | None = None,
        close_button: int | None = 0,
        open_button: int | None = 1,
    ) -> None:
        super().__init__(env)
        actions = env.action_space
        if not isinstance(actions, spaces.Box) or actions.shape not in ((6,), (7,)):
            raise InvalidConfiguration(
                f"a teleoperation device or script steers actions of six or seven numbers, not {actions}. Choose an "
                "environment with such actions, or record with a script of its own (--expert module:factory)"
            )
        chosen = range(6) if action_indices is None else action_indices
        if not set(chosen) <= set(range(6)) or hold_steps < 0:
            raise InvalidConfiguration(
                f"action_indices lie in 0 to 5 and hold_steps is at least 0, got {action_indices}, {hold_steps}"
            )
        self._teleop = teleop
        self._hold_steps = hold_steps
        self._mask = np.isin(np.arange(6), list(chosen))
        self._has_gripper = actions.shape == (7,)
        self._close_button, self._open_button = close_button, open_button
        self._held_steps = hold_steps
        self._is_allowed = True
        self._dtype = actions.dtype

    def allow_interventions(self, allowed: bool) -> None:
        """Let the human take over from now on, or leave every step to the policy, as an evaluation has to."""
        self._is_allowed = allowed
        self._held_steps = self._hold_steps

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Reset, with the device connected; the policy begins."""
        self._teleop.connect()
        self._held_steps = self._hold_steps
        return self.env.reset(seed=seed, options=options)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Take the human's action if there is one, else the policy's.

        Raises:
            StaleState: the device was unplugged; nothing was sent.
        """
        reading = self._teleop.read()
        taken = self._intervention(reading) if self._is_allowed else None
        observation, reward, terminated, truncated, info = self.env.step(action if taken is None else taken)
        info["teleop_buttons"] = np.array(reading.buttons, dtype=bool)
        if taken is not None:
            info[INTERVENE_ACTION] = taken
            info[INTERVENE_HOLD] = self._held_steps > 0
        return observation, reward, terminated, truncated, info

    def close(self) -> None:
        """Let the device go and close the env."""
        self._teleop.disconnect()
        super().close()

    def _intervention(self, reading: TeleopReading) -> np.ndarray | None:
        twist = np.where(self._mask, reading.twist, 0.0)
        fingers = self._fingers(reading) if self._has_gripper else 0.0
        if twist.any() or fingers:
            self._held_steps = 0
        elif self._held_steps >= self._hold_steps:
            return None
        else:
            self._held_steps += 1
        halves = (half / max(1.0, float(np.linalg.norm(half))) for half in (twist[:3], twist[3:]))
        numbers = np.concatenate((*halves, [fingers] if self._has_gripper else []))
        return numbers.astype(self._dtype)

    def _fingers(self, reading: TeleopReading) -> float:
        """SERL's random number in [0.9, 1]: no policy that ends in a tanh can imitate 1 itself."""
        opens, closes = (_is_pressed(reading, button) for button in (self._open_button, self._close_button))
        if opens == closes:
            return 0.0
        strength = float(self.np_random.uniform(0.9, 1.0))
        return strength if opens else -strength


def _is_pressed(reading: TeleopReading, button: int | None) -> bool:
    return button is not None and button < len(reading.buttons) and reading.buttons[button]
