"""Behaviour cloning from files: it learns, it continues exactly, it is measured like any other run."""

import dataclasses

import pytest
import torch
from rich.console import Console

from rl.agents.continuous.bc import BcConfig
from rl.cli import main
from rl.common.optimizers import OptimizerConfig
from rl.data.demos import record_demos
from rl.errors import CheckpointError, CheckpointNotFound, ConfigError, DataError, RunExists
from rl.evaluation.evaluate import run_eval
from rl.offline.bc import TrainBcOptions, train_bc
from rl.offline.bc_options import SETTINGS
from rl.utils.checkpoint import Checkpoints
from rl.utils.run_directory import claim_run
from rl.wrappers.make_env import make_env

ENV = "tests.support.tiny_env:FollowTarget-v0"
SILENT = Console(quiet=True)
CONFIG = BcConfig(
    hidden_dims=(32,), optimizer=OptimizerConfig(1e-2), std_min=0.05, standardises=True, tanh_squash_distribution=False
)


class StopAfter:
    """Asks for the end at the n-th question."""

    def __init__(self, epochs=10**9):
        self.left = epochs

    def is_set(self):
        self.left -= 1
        return self.left < 0


@pytest.fixture
def demos(tmp_path):
    path = tmp_path / "demos.sqlite"
    env = make_env(ENV)
    record_demos(path, env, lambda observation: observation[:1], episodes=12, seed=3)
    env.close()
    return path


def options(demos, out, **changes):
    base = TrainBcOptions(
        demos=(demos,),
        out=out,
        env=ENV,
        epochs=6,
        batch_size=20,
        threads=1,
        checkpoint_every=2,
        held_out=0.2,
        bc=CONFIG,
    )
    return dataclasses.replace(base, **changes)


def weights(out, step=None):
    return Checkpoints(out / "checkpoints").load(step)[1]["agent"]["modules"]


def test_a_clone_does_what_was_demonstrated(demos, tmp_path):
    out = tmp_path / "run"
    assert train_bc(options(demos, out, epochs=40), StopAfter(), SILENT) == 40
    summary = run_eval(SETTINGS.read(out), None, 5, None, SILENT)
    assert summary["success_rate"] == 1.0
    assert summary["return_mean"] > 9.0
    assert (out / "curve.png").stat().st_size > 1000


def test_a_run_that_was_stopped_ends_where_an_undisturbed_one_ends(demos, tmp_path):
    train_bc(options(demos, tmp_path / "whole"), StopAfter(), SILENT)
    assert train_bc(options(demos, tmp_path / "parts"), StopAfter(3), SILENT) == 3
    train_bc(options(demos, tmp_path / "parts", resume=True), StopAfter(), SILENT)
    whole, parts = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    assert not all(torch.equal(whole[name], value) for name, value in weights(tmp_path / "whole", 4).items())


def test_a_run_that_is_refused_other_networks_is_still_read_with_its_own(demos, tmp_path):
    out = tmp_path / "run"
    train_bc(options(demos, out), StopAfter(), SILENT)
    wider = dataclasses.replace(CONFIG, hidden_dims=(16,))
    with pytest.raises(CheckpointError, match="leave out the options that change them"):
        train_bc(options(demos, out, resume=True, epochs=8, bc=wider), StopAfter(), SILENT)
    assert SETTINGS.read(out).bc.hidden_dims == (32,)
    assert run_eval(SETTINGS.read(out), None, 1, None, SILENT)["episodes"] == 1


def test_held_out_episodes_are_not_trained_on(demos, tmp_path):
    from rl.offline.demos import read_demos, split_episodes
    from rl.utils.seeds import Seeds

    env = make_env(ENV)
    episodes = read_demos((demos,), env.observation_space, env.action_space)
    train, held_out = split_episodes(episodes, 0.25, Seeds(0).generator("x"))
    rows = [{tuple(row) for row in part["observations"].tolist()} for part in (train, held_out)]
    assert len(held_out["actions"]) == 30
    assert not rows[0] & rows[1]
    assert rows[0] | rows[1] == {tuple(row) for episode in episodes for row in episode["observations"].tolist()}


def test_r8_what_cannot_be_trained_is_refused_and_leaves_no_directory(demos, tmp_path):
    with pytest.raises(ConfigError, match="--demos is empty"):
        TrainBcOptions(demos=(), out=tmp_path)
    with pytest.raises(DataError, match="too few to hold"):
        train_bc(options(demos, tmp_path / "a", held_out=0.99), StopAfter(), SILENT)
    assert not (tmp_path / "a").exists()
    claim_run(tmp_path / "a", resume=False, facts={})
    with pytest.raises(RunExists):
        train_bc(options(demos, tmp_path / "a"), StopAfter(), SILENT)
    with pytest.raises(CheckpointNotFound):
        train_bc(options(demos, tmp_path / "b", resume=True), StopAfter(), SILENT)
    assert not (tmp_path / "b").exists()


def test_the_command_line_says_what_is_wrong(demos, tmp_path, capsys):
    arguments = ["bc", "--demos", str(demos), "--out", str(tmp_path / "r"), "--env", ENV, "--frame-stack", "2"]
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "observation_space" in capsys.readouterr().err
