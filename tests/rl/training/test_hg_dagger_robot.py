"""HG-DAgger on an arm behind a server: the actor waits until a person has recovered it, and no correction is lost."""

from __future__ import annotations

import logging
import threading
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from rich.console import Console

from envs.experts.scripted_human import TakeoverPolicy
from envs.interventions import add_scripted_human
from rl.agents.continuous.bc_config import BcConfig
from rl.data.demos import DemoWriter, run_episode
from rl.data.journal import TransitionJournal
from rl.training import hg_dagger
from rl.training.hg_dagger import run_hg_dagger
from rl.training.hg_dagger_options import HgDaggerOptions
from rl.training.recovery import Recovery
from rl.utils.run_directory import JOURNAL
from rl.wrappers.make_env import TranslateErrors, adapt
from robotkit import make_workcell
from tests.serving import served
from tests.support.waiting import wait_until

ENV = "envs:FrankaReachPose-v0"
STEPS = 20
BEFORE, HELP = 3, 5


class Slow:
    """An expert that goes slowly along one axis."""

    def reset(self, observation: Any) -> None: ...

    def act(self, observation: Any) -> np.ndarray:
        return np.array([0.1, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])


def environment(url: str, on_step: Any = lambda: None) -> gym.Env:
    raw = gym.make(ENV, cell=url, max_episode_steps=STEPS, disable_env_checker=True)
    watched = gym.wrappers.TransformAction(raw, lambda action: (on_step(), action)[1], raw.action_space)
    return adapt(TranslateErrors(add_scripted_human(watched, Slow(), TakeoverPolicy(BEFORE, HELP)), "reach"))


def test_a_stop_by_a_person_is_waited_for_and_the_corrections_before_it_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.WARNING)
    monkeypatch.setattr(Recovery.__init__, "__defaults__", (0.02, 60.0))
    with make_workcell("fake") as cell, served(cell) as url:
        env = environment(url)
        with DemoWriter(tmp_path / "demos.sqlite", env.observation_space, env.action_space) as writer:
            writer.write_episode(run_episode(env, lambda _: np.zeros(env.action_space.shape), 0)[0], success=False)
        env.close()
        steps = iter(range(10**6))

        def stop_once() -> None:
            if next(steps) == STEPS + 12:
                cell.robot.stop_for("a person pressed stop", "operator")

        monkeypatch.setattr(hg_dagger, "make_env", lambda *args, **options: environment(url, stop_once))
        options = HgDaggerOptions(
            demos=(tmp_path / "demos.sqlite",), out=tmp_path / "run", env=ENV, cell=url, rounds=1,
            episodes_per_round=2, epochs=1, threads=1, held_out=0.0, bc=BcConfig(hidden_dims=(8,)),
        )  # fmt: skip
        stop, done = threading.Event(), []
        run = threading.Thread(
            target=lambda: done.append(run_hg_dagger(options, stop, Console(quiet=True))), daemon=True
        )
        run.start()
        try:
            wait_until(lambda: "a person pressed stop" in caplog.text)
            journal = partial(TransitionJournal, tmp_path / "run" / JOURNAL, read_only=True)
            with journal() as found:
                assert len(found) == STEPS + 12, "they are on disk while the robot is waited for"
            cell.robot.recover()
            run.join(120.0)
        finally:
            stop.set()
            run.join(60.0)
        assert done == [1]
        with journal() as found:
            blocks = list(found.blocks())
    assert [len(block.transitions["dones"]) for block in blocks] == [STEPS, 12, STEPS]
    assert [block.follows_gap for block in blocks] == [False, False, True]
    by_person = blocks[1].transitions["is_intervention"] > 0
    assert by_person.tolist() == ([False] * BEFORE + [True] * HELP + [False] * BEFORE + [True])
    np.testing.assert_allclose(blocks[1].transitions["actions"][by_person][:, 0], 0.1, rtol=1e-6)
