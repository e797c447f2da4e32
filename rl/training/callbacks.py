"""Callbacks: what happens in a training in this process, told to whoever listens, who may stop it."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from rl.common.typing import Metrics
from rl.errors import ConfigError


class StopTraining(Exception):
    """Raised by a callback, ends the training in order, as returning False does."""


@dataclass(frozen=True)
class TrainingStart:
    """A training begins."""

    agent: TrainedAgent
    """The agent that is trained; callbacks that need it keep it from here."""
    env_steps: int
    """Environment steps that the run has had before."""
    steps: int
    """Environment steps that this training is to take."""
    evaluate_every: int
    """Environment steps between two of its evaluations; 0 when it has none."""


@dataclass(frozen=True)
class Step:
    """One environment step."""

    env_steps: int
    """Environment steps since the beginning of the run, this one included."""
    transition: Mapping[str, Any]
    """The transition as it is stored, without batch axis: `observations`, `actions` (A,) in [-1, 1],
    `next_observations`, `rewards`, `masks` (1 - terminated), `dones` (terminated or truncated), `is_intervention` and
    `grasp_penalty`. Not to be written to."""


@dataclass(frozen=True)
class EpisodeEnd:
    """The end of an episode."""

    env_steps: int
    episodes: int
    """Episodes since the beginning of the run, this one included."""
    values: Mapping[str, float]
    """`return` (sum of rewards), `length` (steps), `interventions`, `intervened_steps`; `success`, and `late_steps` and
    `torn_steps`, where the environment reports them."""


@dataclass(frozen=True)
class Update:
    """One update: `utd_ratio` critic steps, and one of policy and temperature."""

    env_steps: int
    updates: int
    """Updates since the beginning of the run, this one included."""
    metrics: Metrics
    """Scalar tensors on the agent's device, such as `critic/critic_loss`; turning one into a number waits for it."""


@dataclass(frozen=True)
class Evaluation:
    """One evaluation without exploration noise."""

    env_steps: int
    values: Mapping[str, float]
    """See `rl.common.evaluation.summarize`: `return_mean`, `length_mean`, `success_rate` …"""


class TrainedAgent(Protocol):
    """The agent as a callback can use it; `rl.SAC` and `rl.DrQ` say more about each."""

    @property
    def env_steps(self) -> int:
        """Environment steps since the beginning of the run."""
        ...

    @property
    def updates(self) -> int:
        """Updates since the beginning of the run."""
        ...

    def predict(self, observation: Any, deterministic: bool = True) -> Any:
        """The action for an observation."""
        ...

    def save(self, path: Any = None) -> Any:
        """Write a checkpoint."""
        ...


class Callback:
    """A callback is told what happens in a training, in this order; overwrite the methods that you need.

    `on_training_start`, then for each step `on_step`, at the end of an episode `on_episode_end` and perhaps
    `on_evaluation`, then `on_update` for each update that the steps so far pay for; at last `on_training_end`. A
    method that returns False, or raises `StopTraining`, stops the training; all callbacks are still told of that event.
    Any other exception ends `train` at once, and the agent can be used on.
    """

    def on_training_start(self, event: TrainingStart) -> bool | None:
        """A training begins."""

    def on_step(self, event: Step) -> bool | None:
        """An environment step was taken and its transition stored."""

    def on_episode_end(self, event: EpisodeEnd) -> bool | None:
        """An episode has ended."""

    def on_update(self, event: Update) -> bool | None:
        """The networks were updated."""

    def on_evaluation(self, event: Evaluation) -> bool | None:
        """The policy was evaluated."""

    def on_training_end(self) -> None:
        """The training is over, for whatever reason."""


Event = TrainingStart | Step | EpisodeEnd | Update | Evaluation

_METHODS: Mapping[type[Event], str] = {
    TrainingStart: Callback.on_training_start.__name__,
    Step: Callback.on_step.__name__,
    EpisodeEnd: Callback.on_episode_end.__name__,
    Update: Callback.on_update.__name__,
    Evaluation: Callback.on_evaluation.__name__,
}


class Callbacks:
    """Tells several callbacks, and stops the training when one of them asks for it.

    Args:
        callbacks: in the order in which they are told.
        stop: called when the training is to stop.

    Raises:
        ConfigError: one of them is no `Callback` or has a hook that is never called, or they are no sequence.
    """

    def __init__(self, callbacks: Sequence[Callback], stop: Callable[[], None]) -> None:
        if isinstance(callbacks, Callback):
            raise ConfigError(f"callbacks takes a list, also of one: callbacks=[{type(callbacks).__name__}(…)]")
        for callback in callbacks:
            if not isinstance(callback, Callback):
                raise ConfigError(
                    f"a callback must be an object of a class that extends rl.Callback, not {callback!r}: put your "
                    "function into such a class, as its on_step or on_episode_end"
                )
            _require_known_hooks(type(callback))
        self._callbacks, self._stop = tuple(callbacks), stop

    def tell(self, event: Event) -> None:
        """Tell all of them; one after another, also when one stops the training."""
        for callback in self._callbacks:
            try:
                goes_on = getattr(callback, _METHODS[type(event)])(event) is not False
            except StopTraining:
                goes_on = False
            if not goes_on:
                self._stop()

    def end(self) -> None:
        """Tell all of them that the training is over."""
        for callback in self._callbacks:
            callback.on_training_end()


_HOOKS = (*_METHODS.values(), Callback.on_training_end.__name__)


def _require_known_hooks(kind: type[Callback]) -> None:
    """Raise `ConfigError` for a method with the name of a hook that no training calls."""
    for name in dir(kind):
        if name.startswith("on_") and name not in _HOOKS and callable(getattr(kind, name)):
            close = difflib.get_close_matches(name, _HOOKS, n=1)
            hint = f" Did you mean {close[0]}?" if close else ""
            raise ConfigError(
                f"{kind.__name__}.{name} would never be called.{hint} A callback has {', '.join(_HOOKS)}; name other "
                "methods without on_"
            )
