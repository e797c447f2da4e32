"""L8: where time passes by itself, an actor waits for its learner between two episodes and never within one."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from gymnasium.wrappers import TimeLimit

from envs.core import ManipulationEnv
from envs.dual import DualArmEnv
from envs.tasks import FrankaTask, franka_actions
from envs.tasks.reach_pose import REACH_POSE
from rl import SAC, SacConfig
from rl.training.actor import ActingPlan, EvaluationPlan, run_actor
from rl.utils.seeds import Seeds
from robotkit import make_workcell
from tests.envs.test_dual_arm_faults import own_time_cell
from tests.support.tiny_env import EPISODE_STEPS, FollowTarget


class Policy:
    def sample_actions(self, observations: Any, *, argmax: bool = False) -> np.ndarray:
        return np.zeros(1, np.float32)

    def load_policy_state_dict(self, state: Any) -> None: ...


class Link:
    """Gives leave for one step at a time, after some waiting, and ends the training after `steps`."""

    def __init__(self, steps: int) -> None:
        self.steps, self.env_steps = steps, 0
        self.waited_before: list[int] = []

    @property
    def is_finished(self) -> bool:
        return self.env_steps >= self.steps

    def may_step(self, timeout_s: float) -> bool:
        if self.is_finished:
            return False
        if self.env_steps not in self.waited_before:
            self.waited_before.append(self.env_steps)
            return False
        return True

    def send(self, transition: Any) -> None:
        self.env_steps += 1

    def take_weights(self) -> None: ...
    def wait_for_weights(self, timeout_s: float) -> Any:
        return type("Weights", (), {"policy": {}})

    def tear(self) -> None: ...
    def report(self, topic: str, values: Any) -> None: ...
    def set_waiting_for(self, reason: str | None) -> None: ...


class OnAClock(FollowTarget):
    is_real_time = True


@pytest.mark.parametrize(
    ("env", "waits"), [(FollowTarget(), range(25)), (OnAClock(), (0, EPISODE_STEPS, 2 * EPISODE_STEPS))]
)
def test_l8_a_real_robot_is_held_up_between_episodes_alone(env: FollowTarget, waits: Any):
    link, plan = Link(25), ActingPlan(0, EvaluationPlan(0, 1, 0))
    run_actor(env, Policy(), link, plan, Seeds(0), threading.Event())
    assert link.env_steps == 25
    assert link.waited_before == list(waits)


class Endless(OnAClock):
    """Its episodes never end."""

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        return (*super().step(action)[:3], False, {})


@pytest.mark.parametrize("env", [OnAClock, Endless])
def test_l8_a_training_takes_no_step_after_its_last_one_and_does_the_updates_for_all(env: type[FollowTarget]):
    networks = SacConfig(critic_ensemble_size=2, critic_subsample_size=None, hidden_dims=(8,))
    agent = SAC(env(), networks, training_starts=5, random_steps=5, batch_size=4)
    agent.train(EPISODE_STEPS + 5)
    assert (agent.env_steps, agent.updates) == (EPISODE_STEPS + 5, EPISODE_STEPS)


@pytest.mark.parametrize(("make", "is_real"), [(lambda: make_workcell("fake"), False), (own_time_cell, True)])
def test_l8_an_environment_tells_whether_time_passes_by_itself(make: Any, is_real: bool):
    arms = [ManipulationEnv(make(), FrankaTask(REACH_POSE), franka_actions(REACH_POSE)) for _ in range(2)]
    assert [arm.is_real_time for arm in arms] == [is_real] * 2
    assert DualArmEnv(*arms).is_real_time is is_real
    assert TimeLimit(arms[0], 5).get_wrapper_attr("is_real_time") is is_real
