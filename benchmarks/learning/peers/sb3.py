"""The runner of Stable-Baselines3 and sb3-contrib: their SAC, TQC and CrossQ, by the class's name as preset.

Every setting is the library's default except those that belong to the task, and `device`:

- `gamma` is 0.97 as in the preset `demo`, not 0.99: it says how far ahead the task is to be planned for.
- `frame_stack` is 3 as in the preset `demo`. It is no setting of these libraries: the environment gives the vector that
  our agents observe, built by the same wrappers, with actions in [-1, 1].
- `device` is the CPU. The default takes a GPU where there is one, and the benchmark counts CPU-seconds.

The defaults hold one update of the critics for each step from step 100 on. An episode that is cut by its time limit is
no end for the critics, there as here.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from contextlib import closing
from typing import Any

import numpy as np

from benchmarks.learning.evaluator import Evaluator
from benchmarks.learning.peers.packages import require_packages
from benchmarks.learning.records import Evaluation
from benchmarks.learning.tables import RunSpec
from benchmarks.learning.variants import Variant
from rl.errors import ConfigError
from rl.wrappers.adapter_config import EnvAdapterConfig
from rl.wrappers.make_env import make_env

_MODULES: Mapping[str, str] = {"SAC": "stable_baselines3", "TQC": "sb3_contrib", "CrossQ": "sb3_contrib"}
_FRAME_STACK = "frame_stack"


def run(spec: RunSpec) -> tuple[Evaluation, ...]:
    """Train and evaluate; the errors are those of `train`."""
    return train(spec, _MODULES)


def train(spec: RunSpec, modules: Mapping[str, str]) -> tuple[Evaluation, ...]:
    """Train and evaluate an algorithm that is used as those of Stable-Baselines3 are.

    Args:
        spec: the run.
        modules: the module of each algorithm that can be chosen.

    Raises:
        ConfigError: there is no such algorithm, or the task has demonstrations.
        MissingExtra: the library is not installed.
        EnvironmentFailed: the environment cannot go on.
    """
    if spec.task.demonstrations:
        raise ConfigError(f"{spec.name}: this library cannot learn from demonstrations; choose a task without any")
    algorithm, settings = _load(spec.how, modules), dict(spec.how.options)
    adaptation = observed(spec.how)
    settings.pop(_FRAME_STACK, None)
    with (
        closing(make_env(spec.task.env, adaptation=adaptation)) as evaluation_env,
        closing(make_env(spec.task.env, adaptation=adaptation)) as env,
    ):
        evaluator = Evaluator(spec, evaluation_env)
        model = algorithm("MlpPolicy", env, seed=spec.seed, device="cpu", **settings)

        def act(observation: Any) -> np.ndarray:
            action: np.ndarray = model.predict(observation, deterministic=True)[0]
            return action

        def on_step(_local: dict[str, Any], _global: dict[str, Any]) -> bool:
            evaluator.evaluate_if_due(model.num_timesteps, act)
            return True

        evaluator.evaluate_if_due(0, act)
        model.learn(spec.steps, callback=on_step)
    return evaluator.evaluations


def observed(variant: Variant) -> EnvAdapterConfig:
    """The settings that adapt the environment to the agent of a variant."""
    return EnvAdapterConfig(frame_stack=variant.options.get(_FRAME_STACK, 1))


def _load(variant: Variant, modules: Mapping[str, str]) -> Any:
    if variant.preset not in modules:
        raise ConfigError(f"this runner has no algorithm {variant.preset!r}; it has {', '.join(modules)}")
    require_packages(variant.packages)
    return getattr(importlib.import_module(modules[variant.preset]), variant.preset)
