"""P9: networks that are not finite any more are neither published nor saved nor acted with."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from rl.common.typing import Batch, Metrics
from rl.errors import TrainingDiverged
from rl.link.frames import Weights
from rl.training.callbacks import Callback
from rl.training.learned import SuccessGoal
from rl.training.learner import LearnerLoop
from rl.training.trainer import LoopIntervals, Progress, Trainer
from rl.training.update_schedule import Schedule
from rl.utils.checkpoint import Checkpoints
from rl.utils.logger import Logger
from tests.rl.training.small_agents import one_thread, small_sac
from tests.rl.training.test_trainer import NoBatches

__all__ = ["one_thread"]


class Diverging:
    """Its critic's loss is not finite from its fifth update on, its policy from its sixth."""

    def __init__(self) -> None:
        self.updates = 0

    def update_high_utd(self, batch: Batch, utd_ratio: int) -> Metrics:
        self.updates += 1
        critic = float("nan") if self.updates >= 5 else 1.0
        actor = float("nan") if self.updates >= 6 else 1.0
        return {"actor/actor_loss": torch.tensor(actor), "critic/critic_loss": torch.tensor(critic)}

    def policy_state_dict(self) -> dict[str, np.ndarray]:
        return {"head": np.array([np.nan if self.updates >= 6 else 1.0, 2.0], np.float32)}

    def state_dict(self) -> dict[str, Any]:
        return {"critic": torch.tensor([float("nan") if self.updates >= 5 else 1.0])}


class Hub:
    def __init__(self) -> None:
        self.published: list[Weights] = []

    def publish(self, weights: Weights) -> None:
        self.published.append(weights)

    def grant(self, env_steps: int) -> None: ...
    def take_reports(self) -> list[Any]:
        return []

    def silence_s(self) -> float:
        return 0.0


@pytest.mark.parametrize(("checkpoint_every", "said"), [(2, "after 4 updates"), (0, "no checkpoint yet")])
def test_p9_the_learner_ends_with_the_loss_that_went_first_and_keeps_what_was_sound(
    tmp_path: Path, checkpoint_every: int, said: str
):
    intervals = LoopIntervals(1, 1, 1000, checkpoint_every, 30.0)
    agent, hub, progress, checkpoints = Diverging(), Hub(), Progress(100), Checkpoints(tmp_path / "checkpoints")
    trainer = Trainer(agent, intervals, Logger([]), checkpoints, progress)
    loader = SimpleNamespace(poll=lambda: 100, buffered=100)
    schedule, goal = Schedule(100, 0, 1.0, None), SuccessGoal(None, tmp_path)
    loop = LearnerLoop(trainer, loader, hub, schedule, intervals, goal, clock=lambda: float(progress.updates))
    with pytest.raises(TrainingDiverged, match=r"after 5 updates critic/critic_loss was nan") as error:
        loop.run(NoBatches(), threading.Event())
    assert said in str(error.value)
    assert [weights.version for weights in hub.published] == [1, 2, 3, 4, 5]
    assert all(np.isfinite(weights.policy["head"]).all() for weights in hub.published)
    assert checkpoints.steps() == ([2, 4] if checkpoint_every else [])


class Poison(Callback):
    """Makes a weight of the critic infinite after the tenth update."""

    def __init__(self, agent: Any) -> None:
        self.agent, self.after = agent, 0

    def on_update(self, event: Any) -> None:
        self.after += event.updates > 10
        if event.updates == 10:
            with torch.no_grad():
                next(self.agent.core.state.modules["critic"].parameters()).fill_(float("inf"))


def test_p9_an_agent_of_a_script_takes_no_step_with_such_networks(tmp_path: Path):
    with small_sac(out=tmp_path / "run", checkpoint_every=5) as agent:
        with pytest.raises(TrainingDiverged, match=r"after 11 updates .* was nan"):
            agent.train(400, callbacks=[poison := Poison(agent)])
        assert agent.updates == 11
        assert poison.after == 0
    assert Checkpoints(tmp_path / "run" / "checkpoints").steps() == [5, 10]
