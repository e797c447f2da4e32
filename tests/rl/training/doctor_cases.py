"""Short trainings with a fault of order, and healthy ones, for the tests of the training doctor."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from rl import SAC, SacConfig
from rl.common.optimizer_config import OptimizerConfig
from rl.data.demos import record_demos
from rl.errors import TrainingDiverged
from rl.training.doctor.read_run import read_run
from rl.training.doctor.table import examine
from rl.training.doctor.verdicts import Diagnosis
from tests.support.point_env import EPISODE_STEPS, Faults, PointReach, expert

NETWORKS = SacConfig(
    critic_ensemble_size=2,
    critic_subsample_size=None,
    hidden_dims=(32, 32),
    activations="relu",
    discount=0.9,
    actor_optimizer=OptimizerConfig(1e-3),
    critic_optimizer=OptimizerConfig(1e-3),
)
NO_TEMPERATURE = replace(NETWORKS, temperature_init=1e-8, temperature_optimizer=OptimizerConfig(1e-9))
UNSTEADY = replace(
    NETWORKS,
    critic_ensemble_size=1,
    use_layer_norm=False,
    discount=0.99,
    soft_target_update_rate=1.0,
    critic_optimizer=OptimizerConfig(1e-2),
)
"""The deadly triad (Sutton & Barto 2018, section 11.3): targets that follow at once, one critic, nothing normalised."""

NO_FAULTS = Faults()
Demonstrator = Callable[[np.ndarray], np.ndarray]


class Contradicting:
    """A demonstrator that goes round the target, one way in one episode and the other way in the next one."""

    def __init__(self) -> None:
        self._steps = 0

    def __call__(self, observation: np.ndarray) -> np.ndarray:
        sign = 1.0 if (self._steps // EPISODE_STEPS) % 2 else -1.0
        self._steps += 1
        along, across = expert(observation)
        return 0.3 * sign * np.array([-across, along], np.float32)


@dataclass(frozen=True)
class Case:
    """A training, and what the doctor is to name in it."""

    finding: str | None
    faults: Faults = NO_FAULTS
    networks: SacConfig = NETWORKS
    settings: Mapping[str, Any] = field(default_factory=dict)
    demonstrator: Callable[[], Demonstrator] | None = None
    steps: int = 1250

    def train(self, directory: Path, seed: int) -> Diagnosis:
        """Train, and examine what the run has logged."""
        settings: dict[str, Any] = {
            "batch_size": 64, "env_steps_per_update": 5, "random_steps": 200, "training_starts": 200, "log_every": 10,
            "checkpoint_every": 0, "capacity": 10_000,
        }  # fmt: skip
        directory.mkdir(exist_ok=True)
        if self.demonstrator is not None:
            demos = directory / "demos.sqlite"
            record_demos(demos, _AnyEnd(self.faults), self.demonstrator(), 20, seed)
            settings["demos"] = [demos]
        with (
            SAC(
                PointReach(self.faults), self.networks, seed=seed, out=directory / "run", **settings | self.settings
            ) as agent,
            contextlib.suppress(TrainingDiverged),
        ):
            agent.train(self.steps)
        return examine(read_run(directory / "run"))


class _AnyEnd(PointReach):
    """Every episode is kept as a demonstration."""

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        *outcome, info = super().step(action)
        return (*outcome, {**info, "success": True})  # type: ignore[return-value]


SICK = {
    "rewards that overflow": Case("not_finite", Faults(huge_reward_after=700)),
    "no reward": Case("reward_dead", Faults(constant_reward=0.0)),
    "always a reward": Case("reward_dead", Faults(constant_reward=1.0)),
    "a sensor that sticks": Case("observations_frozen", Faults(frozen_after=700)),
    "a sensor in other units": Case("observations_blown_up", Faults(scale_of_first=1e4)),
    "critics that diverge": Case(
        "q_overestimated",
        Faults(pays_success_alone=True),
        UNSTEADY,
        {"utd_ratio": 4, "demo_share": 0.9},
        lambda: expert,
    ),
    "a classifier that pays failures": Case("reward_false", Faults(false_payments=0.8)),
    "demonstrations both ways": Case("demos_contradict", demonstrator=Contradicting),
    "a target out of reach": Case(
        "no_success",
        Faults(target_distance=5.0, constant_reward=0.0),
        settings={"env_steps_per_update": 12},
        steps=2300,
    ),
    "a reward for going fast": Case(
        "actions_saturated", Faults(pays_for_speed=True), NO_TEMPERATURE, {"env_steps_per_update": 2}, steps=1900
    ),
    "no temperature": Case("entropy_collapsed", networks=NO_TEMPERATURE),
    "late steps": Case("steps_late", Faults(late_share=0.4)),
    "a human who never lets go": Case("interventions_stay", Faults(helped_share=0.5), steps=1450),
}
HEALTHY = {
    "alone": Case(None),
    "with demonstrations": Case(None, demonstrator=lambda: expert),
    "in time, paid by a classifier": Case(None, Faults(false_payments=0.0, late_share=0.01)),
    "with a human who is needed less and less": Case(None, Faults(helped_share=-0.8), steps=1450),
    "for success alone": Case(None, Faults(pays_success_alone=True), replace(NETWORKS, discount=0.95)),
}
