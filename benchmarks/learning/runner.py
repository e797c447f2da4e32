"""The runner of our own agents: actor and learner take turns in this process, as in `rl.SAC`."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.learning.clones import with_clone
from benchmarks.learning.evaluator import Evaluator
from benchmarks.learning.records import Evaluation
from benchmarks.learning.tables import RunSpec
from benchmarks.learning.variants import make_config
from rl.training.base_policies import find_residual
from rl.training.callbacks import Callback, Step, TrainingStart
from rl.training.session import Session
from rl.wrappers.make_env import make_env, open_env


def run(spec: RunSpec) -> tuple[Evaluation, ...]:
    """Train and evaluate.

    Raises:
        ConfigError: such an agent cannot be trained there.
        TrainingDiverged: the networks are not finite any more.
    """
    config = make_config(spec.how, spec.task, spec.seed, spec.steps)
    config = replace(config, replay=replace(config.replay, demos=() if spec.demos is None else (spec.demos,)))
    config.require_trainable()
    config = with_clone(spec, config)
    with (
        closing(
            make_env(config.env, config.cell, config.adaptation(), residual=find_residual(config))
        ) as evaluation_env,
        closing(open_env(config.env, config.cell, human=config.human)) as env,
    ):
        evaluator = Evaluator(spec, evaluation_env)
        with closing(Session(config, env)) as session:
            session.train(_SessionAgent(session), spec.steps, [_Evaluations(session, evaluator)], every=0, episodes=1)
    return evaluator.evaluations


class _Evaluations(Callback):
    """Evaluates the policy of a session where it is due, after a step and before the updates that it pays for."""

    def __init__(self, session: Session, evaluator: Evaluator) -> None:
        self._session, self._evaluator = session, evaluator

    def on_training_start(self, event: TrainingStart) -> None:
        self._evaluator.evaluate_if_due(event.env_steps, self._act)

    def on_step(self, event: Step) -> None:
        self._evaluator.evaluate_if_due(event.env_steps, self._act)

    def _act(self, observation: Any) -> np.ndarray:
        return self._session.agent.sample_actions(observation, argmax=True)


@dataclass(frozen=True)
class _SessionAgent:
    """The agent of a session as callbacks are told of it."""

    session: Session

    @property
    def env_steps(self) -> int:
        return self.session.progress.env_steps

    @property
    def updates(self) -> int:
        return self.session.progress.updates

    def predict(self, observation: Any, deterministic: bool = True) -> np.ndarray:
        return self.session.agent.sample_actions(observation, argmax=deterministic)

    def save(self, path: Any = None) -> Path:
        return self.session.save(Path(path))
