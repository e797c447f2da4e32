"""L22: every preset runs to its end with a learner that is slower than any.

The actors and the evaluator are those of the commands, over a real link. Before each update the learner waits until the
actors have taken all the steps that they are allowed, so that all are at rest whenever it computes.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from rl.agents.continuous.drq_config import DrqConfig
from rl.agents.continuous.sac_hybrid_config import HybridConfig
from rl.common.encoder_config import EncoderConfig
from rl.config import EvaluationConfig, TrainConfig
from rl.data.demos import record_demos
from rl.data.journal import TransitionJournal
from rl.data.labelled_frames import FrameWriter
from rl.link.hub import LearnerHub
from rl.link.server import LinkServer
from rl.presets import PRESETS, make_preset
from rl.training import processes
from rl.training.learner import LearnerLoop
from rl.training.processes import learn, run_actor_process, run_evaluator_process
from rl.training.trainer import Progress
from rl.utils.checkpoint import Checkpoints
from rl.utils.run_directory import CHECKPOINTS, JOURNAL
from rl.utils.seeds import Seeds
from rl.utils.subprocesses import StopSignal
from rl.wrappers.adapter_config import ImagesConfig
from rl.wrappers.make_env import make_env
from tests.rl.training.small_agents import one_thread
from tests.support.tiny_env import FollowTarget
from tests.support.tiny_pixels import FollowLight

__all__ = ["one_thread"]

STARTS, STEPS = 40, 80
PIXELS = "tests.support.tiny_pixels:FollowLight-v0"
BY_HAND = "tests.rl.training.test_slow_learner:FollowedByHand-v0"
WITH_GRIPPERS = "tests.rl.training.test_slow_learner:FollowedWithGrippers-v0"
SMALL = EncoderConfig("compact", None, num_spatial_blocks=2, bottleneck_dim=8, proprio_latent_dim=4)


class FollowedByHand(FollowTarget):
    """An arm in real time: somebody's hand takes over for two steps of each episode."""

    is_real_time = True

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        shown = np.array([self._target], np.float32)
        is_by_hand = self._steps in (3, 4)
        *outcome, info = super().step(shown if is_by_hand else action)
        return (*outcome, {**info, "intervene_action": shown} if is_by_hand else info)  # type: ignore[return-value]


class FollowedWithGrippers(gym.ActionWrapper):
    """Two arms with a gripper each look at the target; the first number of the left one follows it."""

    metadata = {"render_modes": []}  # Gymnasium before 1.4 asks the class, where a wrapper has none  # noqa: RUF012

    def __init__(self) -> None:
        super().__init__(FollowLight())
        self.action_space = gym.spaces.Box(-1.0, 1.0, (4,), np.float32)

    def action(self, action: np.ndarray) -> np.ndarray:
        return action[:1]


gym.register("FollowedByHand-v0", FollowedByHand)
gym.register("FollowedWithGrippers-v0", FollowedWithGrippers)


def small(preset: str, folder: Path) -> TrainConfig:
    """The preset with its own pace, in an environment and with networks that take no time."""
    config = make_preset(preset)
    agent = replace(config.agent, hidden_dims=(8,), critic_ensemble_size=2, critic_subsample_size=None)
    env = BY_HAND if preset == "hil" else "tests.support.tiny_env:FollowTarget-v0"
    if isinstance(agent, DrqConfig):
        agent, env = replace(agent, encoder=SMALL), WITH_GRIPPERS if isinstance(agent, HybridConfig) else PIXELS
    if preset == "vice":
        agent = replace(agent, vice_hidden_dims=(8,), vice_bottleneck_dim=4)
    evaluation = EvaluationConfig(every_steps=20, episodes=1, where="actor" if preset == "hil" else "process")
    config = replace(
        config, env=env, agent=agent, out=folder / "run", steps=STEPS, random_steps=min(config.random_steps, 30),
        training_starts=STARTS, batch_size=4, compile=False, learner_threads=1, log_every=10, evaluation=evaluation,
        images=ImagesConfig(), reward_classifier=None,
    )  # fmt: skip
    demos = ()
    if config.preset not in ("default", "serl"):
        demos = (folder / "demos.sqlite",)
        with_demos = make_env(env, adaptation=config.adaptation())
        record_demos(demos[0], with_demos, lambda _: with_demos.action_space.sample(), 3, seed=0,
                     attempts_per_episode=1000)  # fmt: skip
        with_demos.close()
    return replace(config, replay=replace(config.replay, demos=demos, capacity=100), goals=goals(preset, folder))


def goals(preset: str, folder: Path) -> tuple[Path, ...]:
    if preset != "vice":
        return ()
    with FrameWriter(folder / "positives.sqlite") as writer:
        shade = np.full((32, 32, 3), 100, np.uint8)
        writer.write("0", [dict.fromkeys(("front", "wrist"), shade)] * 3)
    return (folder / "positives.sqlite",)


@contextmanager
def acting(config: TrainConfig, stop: StopSignal) -> Iterator[list[BaseException]]:
    """The actor and the evaluator of a run, each in a thread; gives what they raise."""
    faults: list[BaseException] = []

    def guarded(work: Any, *arguments: Any) -> None:
        try:
            work(config, *arguments, stop)
        except BaseException as error:
            faults.append(error)
            stop.set()

    threads = [threading.Thread(target=guarded, args=(run_actor_process, "actor-0"))]
    if config.evaluation.where == "process":
        threads.append(threading.Thread(target=guarded, args=(run_evaluator_process,)))
    for thread in threads:
        thread.start()
    try:
        yield faults
    finally:
        for thread in threads:
            thread.join()


def run_slowly(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> LearnerHub:
    """Run a whole training whose learner waits before each update until the actors have come to rest."""
    out, stop, make_agent = config.directory(), StopSignal(), processes.make_agent
    out.mkdir()
    with TransitionJournal(out / JOURNAL) as journal:
        hub = LearnerHub(journal, config.env)
        granted: list[int] = []
        monkeypatch.setattr(hub, "grant", lambda steps, grant=hub.grant: (granted.append(steps), grant(steps)))

        def make_slow_agent(*arguments: Any) -> Any:
            agent = make_agent(*arguments)
            update = agent.update_high_utd

            def update_slowly(batch: Any, utd_ratio: int) -> Any:
                while not hub.wait_for_data(granted[-1], 0.05) and not stop.is_set():
                    pass
                return update(batch, utd_ratio)

            agent.update_high_utd = update_slowly
            return agent

        monkeypatch.setattr(processes, "make_agent", make_slow_agent)
        with LinkServer(hub, "127.0.0.1", 0) as server:
            config = replace(config, link=replace(config.link, port=server.port))
            with acting(config, stop) as faults:
                spec = None
                while spec is None and not faults:
                    spec = hub.wait_for_spec(0.1)
                if spec is not None:
                    learn(config, Seeds(0), hub, spec, Progress(config.steps), stop)
            assert not faults
    return hub


@pytest.mark.parametrize("preset", PRESETS)
def test_l22_a_preset_runs_to_its_end_with_a_learner_that_is_slower_than_any(
    preset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    config = small(preset, tmp_path)
    evaluations: list[Any] = []
    drain = LearnerLoop._drain_reports

    def note(self: LearnerLoop) -> None:
        drain(self)
        evaluations.append(dict(self._progress.evaluation))

    monkeypatch.setattr(LearnerLoop, "_drain_reports", note)
    hub = run_slowly(config, monkeypatch)
    updates, state = Checkpoints(config.directory() / CHECKPOINTS).load()
    assert hub.status()["is_finished"]
    # In real time an episode goes on that began before the last step of the run.
    assert config.steps <= state["env_steps"] <= config.steps + 10
    if config.env_steps_per_update is not None:
        assert updates == (config.steps - config.training_starts) // config.env_steps_per_update
    assert updates >= 1
    assert evaluations[-1]["env_steps"] >= config.steps
