"""`ScriptedHuman`: a scripted expert in place of a person with a teleoperation device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import gymnasium
import numpy as np

from robotkit import BaseTeleop
from robotkit.devices import CellContext
from robotkit.schema import PluginConfig, TeleopReading

_PRESSED = 0.5


class Expert(Protocol):
    """Chooses the actions of the scripted human."""

    def reset(self, observation: Any) -> None:
        """Start an episode."""
        ...

    def act(self, observation: Any) -> np.ndarray:
        """The next action, (6,) or (7,): translation, rotation, gripper."""
        ...


@dataclass(frozen=True)
class TakeoverPolicy:
    """The times at which the scripted human takes over, and the length of a takeover."""

    steps: int
    """Steps of the learned policy in an episode before the first takeover, and between two."""
    help_steps: int | None = None
    """Steps of one takeover; None continues until the episode ends."""


class ScriptedHuman(BaseTeleop):
    """A teleoperation device that takes over when the policy has had its steps without success.

    Its reading is that of any device: the deflection is the expert's action, the first button closes the gripper and
    the second one opens it. `ObserveForExpert` gives it the observations.

    Args:
        expert: chooses the actions.
        takeover: decides when to take over.
    """

    def __init__(self, expert: Expert, takeover: TakeoverPolicy) -> None:
        super().__init__(PluginConfig(), CellContext(name="scripted human"))
        self._expert = expert
        self._takeover = takeover
        self._connected = False
        self._seen: Any = None
        self._is_done = False
        self._waited = self._helped = 0

    @property
    def is_connected(self) -> bool:
        """True between `connect()` and `disconnect()`."""
        return self._connected

    def connect(self) -> None:
        """Connect the device."""
        self._connected = True

    def disconnect(self) -> None:
        """Disconnect the device."""
        self._connected = False

    def begin(self, observation: Any) -> None:
        """Take the first observation of an episode."""
        self._expert.reset(observation)
        self._seen, self._is_done = observation, False
        self._waited = self._helped = 0

    def observe(self, observation: Any, is_success: bool) -> None:
        """Take the observation after a step."""
        self._seen, self._is_done = observation, is_success

    def read(self) -> TeleopReading:
        """The device's reading; called once for each step."""
        self.require_connected()
        # The expert has a state of its own, so it also acts in the steps of the policy.
        action = np.asarray(self._expert.act(self._seen), dtype=np.float64)
        if not self._helps_now():
            return _reading(np.zeros(6), (False, False))
        fingers = action[6] if len(action) == 7 else 0.0
        return _reading(action[:6], (fingers <= -_PRESSED, fingers >= _PRESSED))

    def _helps_now(self) -> bool:
        if self._is_done:
            return False
        if self._waited < self._takeover.steps:
            self._waited += 1
            return False
        self._helped += 1
        if self._takeover.help_steps is not None and self._helped >= self._takeover.help_steps:
            self._waited = self._helped = 0
        return True


class ObserveForExpert(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Gives a scripted human every observation; belongs next to the env, inside `TeleopIntervention`."""

    def __init__(self, env: gymnasium.Env[Any, Any], human: ScriptedHuman) -> None:
        super().__init__(env)
        self._human = human

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Reset."""
        observation, info = self.env.reset(seed=seed, options=options)
        self._human.begin(observation)
        return observation, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._human.observe(observation, _success(info))
        return observation, reward, terminated, truncated, info


def _success(info: Mapping[str, Any]) -> bool:
    return bool(info.get("success", False))


def _reading(twist: np.ndarray, buttons: tuple[bool, bool]) -> TeleopReading:
    is_active = bool(twist.any() or any(buttons))
    return TeleopReading.unchecked(stamp_s=0.0, twist=twist, buttons=buttons, is_active=is_active)
