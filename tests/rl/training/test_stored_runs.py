"""Runs of SAC and DrQ on disk: what is saved acts and learns as before, here and by the commands."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from rl import SAC, Callback, DrQ
from rl.cli import main
from rl.config import load_config, save_config
from rl.data.demos import record_demos
from rl.data.journal import TransitionJournal
from rl.errors import CheckpointError, CheckpointNotFound, ConfigError, DataError, RunExists, SchemaMismatch
from rl.evaluation.evaluate import run_eval
from rl.link.hub import LearnerHub
from rl.link.messages import AgentSpec
from rl.training.callbacks import Update
from rl.training.processes import learn, load_policy
from rl.training.trainer import Progress
from rl.utils.checkpoint import Checkpoints, load_checkpoint
from rl.utils.run_directory import CHECKPOINTS, CONFIG, JOURNAL, METRICS, SPEC
from rl.utils.seeds import Seeds
from rl.utils.subprocesses import StopSignal
from rl.wrappers.make_env import make_env
from tests.rl.training.small_agents import ENV, PIXEL_ENV, one_thread, small_drq, small_sac
from tests.rl.training.test_exact_resume import assert_same
from tests.support.tiny_env import FollowTarget

__all__ = ["one_thread"]


def observations_of(agent: SAC | DrQ, count: int = 5) -> list[Any]:
    return [agent.observation_space.sample() for _ in range(count)]


@pytest.mark.parametrize(
    ("agent_class", "make", "steps"), [(SAC, small_sac, 40), (DrQ, small_drq, 24)], ids=["sac", "drq"]
)
def test_what_was_saved_acts_the_same(agent_class: Any, make: Any, steps: int, tmp_path: Path):
    agent = make(seed=2).train(steps)
    checkpoint = agent.save(tmp_path)
    for path in (tmp_path, checkpoint, checkpoint.parent):
        loaded = agent_class.load(path)
        assert (loaded.env_steps, loaded.updates) == (agent.env_steps, agent.updates)
        for observation in observations_of(agent):
            np.testing.assert_array_equal(loaded.predict(observation), agent.predict(observation))
    np.testing.assert_array_equal(
        loaded.predict(observation, deterministic=False), agent.predict(observation, deterministic=False)
    )


def test_a_directory_that_was_deleted_is_written_anew(tmp_path: Path):
    agent = small_sac().train(20)
    agent.save(tmp_path / "run")
    shutil.rmtree(tmp_path / "run")
    agent.train(4).save(tmp_path / "run")
    assert SAC.load(tmp_path / "run").train(4).env_steps == 28


@pytest.mark.parametrize(
    ("agent_class", "make", "steps"), [(SAC, small_sac, 41), (DrQ, small_drq, 25)], ids=["sac", "drq"]
)
def test_an_agent_that_was_loaded_learns_as_one_that_was_not(agent_class: Any, make: Any, steps: int, tmp_path: Path):
    straight = make(n_step=3).train(steps)
    straight.save(tmp_path)
    straight.train(steps)
    resumed = agent_class.load(tmp_path).train(steps)
    assert (resumed.env_steps, resumed.updates) == (2 * steps, straight.updates)
    assert_same(straight.core.state_dict(), resumed.core.state_dict(), "agent")


@pytest.mark.parametrize(("make", "env"), [(small_sac, ENV), (small_drq, PIXEL_ENV)], ids=["sac", "drq"])
def test_one_update_here_is_one_update_of_the_learner(make: Any, env: str, tmp_path: Path):
    agent = make(out=tmp_path / "here", n_step=3, training_starts=16, env_steps_per_update=8)
    agent.train(24)
    assert agent.updates == 1
    agent.close()
    there = tmp_path / "there"
    shutil.copytree(tmp_path / "here", there, ignore=shutil.ignore_patterns(CHECKPOINTS))
    config = replace(load_config(there / CONFIG), out=there, learner_threads=1)
    with TransitionJournal(there / JOURNAL) as journal:
        spec = AgentSpec.model_validate_json((there / SPEC).read_bytes())
        hub = LearnerHub(journal, env, spec)
        learn(config, Seeds(config.seed), hub, spec, Progress(config.steps), StopSignal())
    here, learned = (load_checkpoint(run / CHECKPOINTS)[1] for run in (tmp_path / "here", there))
    # Episodes are reported by actors, of which this learner had none; global generators play no part.
    counters = {"episodes": None, "rng": None}
    here["agent"]["policy_generator"] = learned["agent"]["policy_generator"]  # the policy that acted here has drawn
    assert_same({**here, **counters}, {**learned, **counters}, "state")


def test_the_commands_evaluate_what_was_saved_here(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    agent = small_sac().train(40)
    agent.save(tmp_path)
    config = replace(load_config(tmp_path / CONFIG), out=tmp_path)
    by_command = run_eval(config, None, 4, None, Console(quiet=True))
    assert by_command == agent.evaluate(4)
    main(["eval", "--out", str(tmp_path), "--episodes", "1"])
    assert "checkpoint after 5 updates, 1 episodes" in capsys.readouterr().out


def test_an_evaluation_of_no_run_says_so(tmp_path: Path):
    config = load_config(small_sac().train(5).save(tmp_path / "run").parents[1] / CONFIG)
    with pytest.raises(CheckpointNotFound, match=r"there is no run at .*elsewhere: give --out"):
        run_eval(replace(config, out=tmp_path / "elsewhere"), None, 1, None, Console(quiet=True))
    with pytest.raises(ConfigError, match="say which run is evaluated: give --out"):
        run_eval(replace(config, out=None), None, 1, None, Console(quiet=True))


def test_the_learner_goes_on_with_what_was_saved_here(tmp_path: Path):
    small_sac().train(60).save(tmp_path)
    config = replace(load_config(tmp_path / CONFIG), out=tmp_path, env_steps_per_update=2.0, learner_threads=1)
    with TransitionJournal(tmp_path / JOURNAL) as journal:
        spec = AgentSpec.model_validate_json((tmp_path / SPEC).read_bytes())
        learn(config, Seeds(0), LearnerHub(journal, ENV, spec), spec, Progress(60), StopSignal())
    assert Checkpoints(tmp_path / CHECKPOINTS).steps() == [10, 20]
    loaded = SAC.load(tmp_path, out=tmp_path)
    assert (loaded.env_steps, loaded.updates) == (60, 20)
    updates, policy = load_policy(config, None, AgentSpec.of(ENV, make_env(ENV)))
    assert updates == 20
    observation = np.array([0.5, 1.0], np.float32)
    np.testing.assert_array_equal(loaded.predict(observation), policy.sample_actions(observation, argmax=True))
    # The learner's last word on the pace is not in the stored configuration: it goes on from where it is.
    assert loaded.train(4).updates == 21
    assert loaded.train(8).updates == 23


def test_a_run_without_a_pace_needs_one_here(tmp_path: Path):
    small_sac().train(40).save(tmp_path)
    free = replace(load_config(tmp_path / CONFIG), env_steps_per_update=None)
    save_config(free, tmp_path / CONFIG)
    with pytest.raises(ConfigError, match=r"take turns: pass load\(…, env_steps_per_update=…\)"):
        SAC.load(tmp_path).train(5)
    assert SAC.load(tmp_path, env_steps_per_update=2).train(5).env_steps == 45


def test_a_run_is_written_while_it_goes_on(tmp_path: Path):
    out = tmp_path / "run"
    seen: list[int] = []

    class Look(Callback):
        def on_update(self, event: Update) -> None:
            with TransitionJournal(out / JOURNAL, read_only=True) as journal:
                seen.append(len(journal))

    agent = small_sac(out=out, checkpoint_every=3, log_every=1, keep_checkpoints=2)
    agent.train(100, callbacks=[Look()], evaluate_every=50)
    # A checkpoint comes after the transitions that it was made of.
    assert seen[2] == 32
    assert Checkpoints(out / CHECKPOINTS).steps() == [18, 20]
    assert (out / METRICS).read_text().count("evaluation/return_mean") == 3
    with pytest.raises(RunExists, match="still trains"):
        SAC.load(out, out=out)
    agent.close()
    again = SAC.load(out, out=out)
    assert again.train(4).env_steps == 104
    again.close()
    assert Checkpoints(out / CHECKPOINTS).steps() == [20, 21]


def test_a_directory_grows_with_its_own_run_and_takes_no_other(tmp_path: Path):
    agent = small_sac().train(40)
    agent.save(tmp_path)
    agent.train(40).save(tmp_path)
    with TransitionJournal(tmp_path / JOURNAL, read_only=True) as journal:
        assert len(journal) == 80
    assert SAC.load(tmp_path).env_steps == 80
    with pytest.raises(RunExists, match=r"never overwritten: choose another directory, or continue"):
        small_sac().save(tmp_path)
    loaded = SAC.load(tmp_path)
    loaded.train(5)
    loaded.save(tmp_path / "copy")
    assert SAC.load(tmp_path / "copy").train(1).env_steps == 86
    assert SAC.load(tmp_path).env_steps == 80
    loaded.save(tmp_path)
    assert SAC.load(tmp_path).env_steps == 85


def test_what_cannot_be_loaded_says_why(tmp_path: Path):
    small_sac().train(20).save(tmp_path)
    with pytest.raises(ConfigError, match=r"there is no run at .*nowhere"):
        SAC.load(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match=r"agent 'sac', not 'drq': use rl\.SAC\.load"):
        DrQ.load(tmp_path)
    with pytest.raises(SchemaMismatch, match=r"observation_space is float32\[3\].*wanted: float32\[2\]"):
        SAC.load(tmp_path, "Pendulum-v1")
    shutil.rmtree(tmp_path / CHECKPOINTS)
    with pytest.raises(CheckpointNotFound):
        SAC.load(tmp_path)


def test_an_environment_without_an_id_is_passed_again(tmp_path: Path):
    agent = small_sac(FollowTarget()).train(20)
    agent.save(tmp_path)
    with pytest.raises(ConfigError, match=r"FollowTarget.* pass one: SAC\.load\('.*', env\)"):
        SAC.load(tmp_path)
    assert SAC.load(tmp_path, FollowTarget()).train(4).env_steps == 24


def test_a_file_is_no_directory_of_a_run(tmp_path: Path):
    file = tmp_path / "notes.txt"
    file.write_text("kept")
    with pytest.raises(CheckpointError, match=r"notes\.txt is a file, and a run is a directory: choose another out"):
        small_sac().train(20).save(file)
    assert file.read_text() == "kept"


def test_demonstrations_are_half_of_what_is_learned_from(tmp_path: Path):
    demos = tmp_path / "demos.sqlite"
    record_demos(demos, make_env(ENV), lambda observation: observation[:1], 3, seed=1)
    agent = small_sac(demos=[demos]).train(24)
    batch = next(agent._session._data.memory.batches)  # type: ignore[union-attr]
    by_expert = np.isclose(batch["actions"][:, 0], batch["observations"][:, 0])
    assert by_expert.sum() == len(by_expert) / 2
    agent.save(tmp_path / "run")
    assert SAC.load(tmp_path / "run").train(4).updates == 2
    with pytest.raises(DataError, match="does not fit the environment"):
        small_sac("Pendulum-v1", demos=[demos], out=tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_only_acting_reads_no_transitions(tmp_path: Path):
    checkpoint = small_sac().train(24).save(tmp_path)
    (tmp_path / JOURNAL).unlink()
    assert SAC.load(checkpoint).predict([0.5, 1.0]).shape == (1,)
