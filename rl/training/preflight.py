"""Checks of a training before a process of it is started: its environment is made once, and closed."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import gymnasium as gym

from rl.common.evaluation import require_unassisted
from rl.config import TrainConfig
from rl.data.demos import require_demos_fit
from rl.errors import ConfigError
from rl.link.messages import AgentSpec
from rl.training.base_policies import find_residual
from rl.training.evaluation_videos import require_filmable
from rl.training.residual_demos import require_base_of_demos
from rl.training.run_schedules import with_run_length
from rl.training.same_run import require_same_base
from rl.utils.log_packages import require_log_package
from rl.utils.option_words import option
from rl.utils.run_directory import SPEC
from rl.utils.subprocesses import Stop
from rl.wrappers.env_id import require_env_id
from rl.wrappers.make_env import make_env
from rl.wrappers.residual import ResidualActions


def require_startable(config: TrainConfig, stop: Stop | None = None) -> None:
    """Raise what an actor, the evaluator or the learner would raise before the first step.

    Nothing is connected that the environment connects at its first reset.

    Args:
        config: of the training.
        stop: ends the wait for a served base policy.

    Raises:
        ConfigError: there is no such environment, cell or human; the agent cannot use the environment; or a rate decays
            with a run whose number of updates nobody knows.
        MissingExtra: a package for the log is not installed.
        CheckpointError: there is no such reward classifier.
        DataError, JournalError: a file of demonstrations cannot be read, or was recorded in another environment.
        PolicyUnavailable: somebody asked for the end while a served policy was waited for.
    """
    require_one_at_a_time(config)
    require_env_id(config.env)
    config.require_weights()
    with_run_length(config, config.agent)
    if config.tensorboard:
        require_log_package("tensorboard")
    if config.wandb_project is not None:
        require_log_package("wandb")
    residual = None if _awaits_clone(config) else find_residual(config, stop)
    require_base_of_demos(config)
    with closing(make_env(config.env, config.cell, config.adaptation(), human=config.human, residual=residual)) as env:
        _require_same_base(config, env)
        require_filmable(config, env)
        _require_fits(config.replay.demos, env.env if isinstance(env, ResidualActions) else env)
        if config.evaluates_in_actor and config.human is not None:
            require_unassisted(env, config.human)
    evaluation = config.evaluation
    if evaluation.every_steps and evaluation.where == "process" and evaluation.cell not in (None, config.cell):
        make_env(config.env, evaluation.cell, config.adaptation(), residual=residual).close()


def require_one_at_a_time(config: TrainConfig) -> None:
    """Raise `ConfigError` when actor and evaluation would command one robot server at the same time."""
    evaluation = config.evaluation
    is_remote = (config.cell or "").startswith(("http://", "https://"))
    if evaluation.every_steps and evaluation.where == "process" and is_remote and not evaluation.cell:
        raise ConfigError(
            f"the robot at {config.cell} cannot serve the actor and an evaluating process at once: choose "
            f"{option('evaluation.where', 'actor')}, another {option('evaluation.cell')}, or "
            f"{option('evaluation.every_steps', 0)}"
        )


def _awaits_clone(config: TrainConfig) -> bool:
    """Whether the clone that a run corrects is made after these checks."""
    return bool(config.from_demos) and (config.out is None or not (config.out / SPEC).exists())


def _require_same_base(config: TrainConfig, env: gym.Env) -> None:
    stored = None if config.out is None else config.out / SPEC
    if config.resume and stored is not None and stored.exists():
        found, spec = AgentSpec.of(config.env, env), AgentSpec.model_validate_json(stored.read_bytes())
        require_same_base(found, spec)


def _require_fits(demos: Sequence[Path], env: gym.Env) -> None:
    for path in demos:
        require_demos_fit(path, env.observation_space, env.action_space)
