"""Builds an environment for an agent: flat float32 observations or images, actions in [-1, 1]."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, SupportsFloat

import gymnasium as gym
import numpy as np

from rl.errors import ConfigError, EnvironmentFailed, EnvironmentInterrupted
from rl.utils.option_words import by_caller, option
from rl.utils.tally import Tally
from rl.wrappers.adapter_config import EnvAdapterConfig
from rl.wrappers.env_id import looked_up
from rl.wrappers.pixel_observation import has_images, wrap_pixels
from rl.wrappers.repeat_action import RepeatAction
from rl.wrappers.residual import Residual
from rl.wrappers.scaled_actions import ScaledActions

logger = logging.getLogger(__name__)

_MENDABLE = frozenset({
    "command_rejected", "outside_workspace", "step_too_large", "joint_limit_exceeded", "robot_stopped",
    "force_limit_exceeded", "control_held", "device_error", "not_connected", "stale_state", "device_fault",
    "motion_failed", "remote_error", "connection_failed", "remote_timeout", "protocol_error", "command_expired",
    "target_replaced", "busy",
})  # fmt: skip
"""`code` of errors that end when a person does something at the robot or its server; others, such as a wrong
configuration, an unknown plugin or a wrong token, stay as long as this process runs."""


class TranslateErrors(gym.Wrapper):
    """Translates errors of an environment that carry a message, such as a robot's fault, into errors of `rl`.

    An environment with a method `recover_simulation` is asked to mend itself first. It returns what the matter was, or
    None where only a person may recover: then the error is raised. A step that was interrupted so is the last of its
    episode: it is truncated, without reward or success, and torn (`info["is_torn"]`).

    Args:
        env: any environment.
        name: the first words of the message.
    """

    def __init__(self, env: gym.Env, name: str) -> None:
        super().__init__(env)
        self._name = name
        self._observation: Any = None
        self._recoveries = Tally()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Reset the environment.

        Raises:
            EnvironmentInterrupted: with the environment's message, when a person can mend it.
            EnvironmentFailed: the same, when nobody can while this process runs.
        """
        with self._translated():
            try:
                self._observation, info = self.env.reset(seed=seed, options=options)
            except Exception as error:
                if not self._has_recovered(error):
                    raise
                self._observation, info = self.env.reset(seed=seed, options=options)
            return self._observation, info

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """Step the environment.

        Raises:
            EnvironmentInterrupted: with the environment's message, when a person can mend it.
            EnvironmentFailed: the same, when nobody can while this process runs.
        """
        with self._translated():
            try:
                step = self.env.step(action)
            except Exception as error:
                if not self._has_recovered(error):
                    raise
                return self._observation, 0.0, False, True, {"success": False, "is_success": False, "is_torn": True}
        self._observation = step[0]
        return step

    def _has_recovered(self, error: Exception) -> bool:
        """Whether a simulation that no person can reach has mended itself of what this error says."""
        if getattr(error, "code", None) not in _MENDABLE or not self.env.has_wrapper_attr("recover_simulation"):
            return False
        cause = self.env.get_wrapper_attr("recover_simulation")()
        if cause is None:
            return False
        if self._recoveries.is_time_to_say():
            logger.warning(
                "%s: the simulated arm was stopped %d times so far, which ends the episode, and recovered by itself; "
                "now: %s",
                *(self._name, self._recoveries.count, cause),
            )
        return True

    @property
    def newest_observation(self) -> Any:
        """The environment's newest observation, as it is before any wrapper around this one."""
        return self._observation

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            said = sentence_of(error)
            if said is None:
                raise
            kind = EnvironmentInterrupted if getattr(error, "code", None) in _MENDABLE else EnvironmentFailed
            raise kind(f"{self._name}: {said}") from error


def sentence_of(error: Exception) -> str | None:
    """The message of an error that an environment defines for its user; None for a mistake in the code."""
    said = getattr(error, "message", None)
    return "; ".join((said, *getattr(error, "__notes__", ()))) if isinstance(said, str) else None


NO_ADAPTATION = EnvAdapterConfig()


def make_env(
    env_id: str,
    cell: str | None = None,
    adaptation: EnvAdapterConfig = NO_ADAPTATION,
    render_mode: str | None = None,
    human: str | None = None,
    residual: Residual | None = None,
) -> gym.Env:
    """Build an environment by its Gymnasium id.

    Args:
        env_id: `Id-v0` or `module:Id-v0`, whose module is imported first.
        cell: handed to environments that stand in a workcell.
        adaptation: how it looks to the agent.
        render_mode: Gymnasium's.
        human: handed to environments in which somebody can take over: "scripted", "spacemouse" …
        residual: a base policy that acts in it, whose actions the agent corrects.

    Raises:
        ConfigError: there is no such environment, it takes no cell or no human, or such an agent cannot use it.
    """
    raw = open_env(env_id, cell, render_mode, human)
    try:
        return adapt(raw, adaptation, residual)
    except BaseException:
        raw.close()
        raise


def open_env(env_id: str, cell: str | None = None, render_mode: str | None = None, human: str | None = None) -> gym.Env:
    """The environment as it is; the arguments are those of `make_env`.

    Raises:
        ConfigError: there is no such environment, it takes no cell or no human, or it says itself what is wrong.
    """
    wanted = {"cell": cell, "render_mode": render_mode, "human": human}
    options: dict[str, Any] = {name: value for name, value in wanted.items() if value is not None}
    try:
        with looked_up(env_id), warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*not in the possible render_modes")  # said below, as an error
            # Gymnasium's checker takes a first reset that raises for one that returned, and fails at the next step.
            env = gym.make(env_id, disable_env_checker=True, **options)
        if render_mode is not None and render_mode not in env.metadata.get("render_modes", []):
            env.close()
            raise ConfigError(_no_pictures(env_id))
        return TranslateErrors(env, env_id)
    except TypeError as error:
        if cell is not None and "cell" in str(error):
            raise ConfigError(f"{env_id} does not stand in a workcell: leave out {option('cell')}") from error
        if human is not None and "human" in str(error):
            raise ConfigError(f"nobody can take over in {env_id}: leave out {option('human')}") from error
        if render_mode is not None and "render_mode" in str(error):
            raise ConfigError(_no_pictures(env_id)) from error
        raise
    except Exception as error:
        said = sentence_of(error)
        if said is None:
            raise
        raise ConfigError(f"{env_id} cannot be made: {said}") from error


def _no_pictures(env_id: str) -> str:
    return f"{env_id} cannot be rendered as images (its render_modes lack rgb_array): leave out {option('video')}"


def adapt(env: gym.Env, adaptation: EnvAdapterConfig = NO_ADAPTATION, residual: Residual | None = None) -> gym.Env:
    """Wrap a built environment for an agent.

    Args:
        env: the environment.
        adaptation: how it looks to the agent.
        residual: a base policy that acts in it, whose actions the agent corrects; for an environment of `open_env`.

    Raises:
        ConfigError: actions are not a bounded Box, images are where there should be none and the reverse, or a reward
            classifier lacks a camera.
        CheckpointError: there is no such reward classifier.
    """
    adapted = _adapt(env, adaptation)
    return adapted if residual is None else residual.add_to(env, adapted)


def _adapt(env: gym.Env, adaptation: EnvAdapterConfig) -> gym.Env:
    _check(env, adaptation)
    if adaptation.reward_classifier is not None:
        from rl.wrappers.classifier_reward import add_classifier_reward  # with torch, which nothing else here needs

        env = add_classifier_reward(env, adaptation.reward_classifier, adaptation.classifier)
    if adaptation.action_repeat > 1:
        env = RepeatAction(env, adaptation.action_repeat)
    if not (env.action_space.low == -1).all() or not (env.action_space.high == 1).all():  # type: ignore[attr-defined]
        env = ScaledActions(env)
    if adaptation.sees_images:
        return wrap_pixels(env, adaptation.cameras, adaptation.images, adaptation.frame_stack)
    if not isinstance(env.observation_space, gym.spaces.Box) or len(env.observation_space.shape) != 1:
        env = _as_vector(env)
    if env.observation_space.dtype != np.float32:
        env = _as_float32(env)
    if adaptation.frame_stack > 1:
        env = gym.wrappers.FlattenObservation(gym.wrappers.FrameStackObservation(env, adaptation.frame_stack))
    return env


def _as_vector(env: gym.Env) -> gym.Env:
    space = env.observation_space
    if not space.is_np_flattenable:
        raise ConfigError(
            f"a state agent needs observations that flatten to a vector of one length, not {space}: wrap the "
            "environment (gymnasium.ObservationWrapper) so that it gives a Box, Discrete, MultiBinary, or a Dict or "
            "Tuple of them"
        )
    return gym.wrappers.FlattenObservation(env)


def _as_float32(env: gym.Env) -> gym.Env:
    """Turn observations into float32.

    Gymnasium's own wrapper warns about the precision of the bounds, which nobody reads here.
    """
    bounds: Any = env.observation_space
    space = gym.spaces.Box(bounds.low.astype(np.float32), bounds.high.astype(np.float32), dtype=np.float32)
    return gym.wrappers.TransformObservation(env, lambda observation: observation.astype(np.float32), space)


def _check(env: gym.Env, adaptation: EnvAdapterConfig) -> None:
    actions = env.action_space
    if not isinstance(actions, gym.spaces.Box) or len(actions.shape) != 1 or not actions.is_bounded():
        raise ConfigError(
            f"soft actor-critic needs bounded actions in a flat Box, not {actions}: choose an environment with "
            "continuous actions, or wrap it (gymnasium.ActionWrapper) so that it takes a Box with finite bounds"
        )
    if actions.dtype.kind != "f":
        raise ConfigError(
            f"soft actor-critic chooses actions between the bounds, and {actions} takes whole numbers: wrap the "
            "environment (gymnasium.ActionWrapper) so that it takes a Box of float32 and rounds what it is given"
        )
    if has_images(env.observation_space) and not adaptation.sees_images:
        raise ConfigError(
            "this observation holds images, and a state agent cannot see: choose "
            f"{by_caller('--agent drq', 'rl.DrQ')}, or an environment without them"
        )
