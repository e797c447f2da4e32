"""U1, U3: a run keeps its environment, its spaces and its agent, and a refused command leaves everything as it was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

from rl.agents.continuous.agent_configs import default_agent_config
from rl.agents.continuous.sac_config import SacConfig
from rl.cli import main
from rl.config import ReplayConfig, TrainConfig, load_config, save_config
from rl.data.journal import TransitionJournal
from rl.errors import CheckpointError, ConfigError, RlError, RunExists, SchemaMismatch
from rl.link.messages import AgentSpec
from rl.training.learner_parts import make_agent
from rl.training.processes import load_policy
from rl.training.same_run import stored_config, take_run
from rl.utils.checkpoint import Checkpoints
from rl.utils.option_words import command_line_words
from rl.utils.run_directory import CHECKPOINTS, CONFIG, JOURNAL, LOGS, SPEC
from rl.utils.seeds import Seeds
from rl.wrappers.adapter_config import ImagesConfig
from rl.wrappers.env_id import require_env_id

ENV = "tests.support.tiny_env:FollowTarget-v0"


def run_main(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[int, str]:
    monkeypatch.setattr("rl.utils.subprocesses.StopSignal.listen", lambda self: self)
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert isinstance(ended.value.code, int)
    return ended.value.code, capsys.readouterr().err


def is_refused_after(config: TrainConfig, write: Callable[[Path], object]) -> None:
    """A training writes into its directory, and is refused then."""
    with pytest.raises(ConfigError, match="refused"):
        _write_and_refuse(config, write)


def _write_and_refuse(config: TrainConfig, write: Callable[[Path], object]) -> None:
    with stored_config(config):
        write(config.directory())
        raise ConfigError("refused")


def append_transition(directory: Path) -> None:
    with TransitionJournal(directory / JOURNAL) as journal:
        journal.append("actor-0/b", 0, {"rewards": np.zeros(1, np.float32)})


def leave_traces(directory: Path) -> None:
    (directory / LOGS).mkdir()
    (directory / LOGS / "actor-0.log").write_text("there is no workcell 'labb'")
    (directory / SPEC).write_text("{}")
    TransitionJournal(directory / JOURNAL).close()


@pytest.fixture
def config(tmp_path: Path) -> TrainConfig:
    """The configuration of a new run."""
    agent = SacConfig(critic_ensemble_size=2, critic_subsample_size=None, hidden_dims=(8,))
    return TrainConfig(env=ENV, out=tmp_path / "run", agent=agent)


@pytest.fixture
def stored(config: TrainConfig) -> TrainConfig:
    """That of a run that has begun, whose next start resumes it."""
    take_run(config)
    with stored_config(config), TransitionJournal(config.directory() / JOURNAL) as journal:
        journal.append("actor-0/a", 0, {"rewards": np.zeros(3, np.float32)})
    return replace(config, resume=True)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"env": "Pendulum-v1"}, f"--env {ENV}, not Pendulum-v1"),
        ({"frame_stack": 2}, "--frame-stack 1, not 2"),
        ({"images": ImagesConfig(size=64)}, "--images.size None, not 64"),
        ({"agent": default_agent_config("drq")}, "--agent sac, not drq"),
    ],
)
def test_u1_a_run_is_not_continued_as_another_one(stored: TrainConfig, changes: dict, named: str):
    before = (stored.directory() / CONFIG).read_bytes()
    with command_line_words(), pytest.raises(SchemaMismatch, match=named):
        take_run(replace(stored, **changes))
    assert (stored.directory() / CONFIG).read_bytes() == before


@pytest.mark.parametrize("command", ["train", "learner"])
def test_u1_a_command_that_resumes_in_another_environment_writes_nothing(
    stored: TrainConfig, command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    before = {path: path.read_bytes() for path in stored.directory().iterdir()}
    status, said = run_main(
        capsys, monkeypatch, command, "--out", str(stored.out), "--resume", "--env", "Pendulum-v1", "--steps", "99999"
    )
    assert status == 2
    assert "a run keeps its environment" in said
    assert {path: path.read_bytes() for path in stored.directory().iterdir()} == before


def test_what_may_change_is_changed_when_a_run_goes_on(stored: TrainConfig):
    longer = replace(stored, steps=5_000_000, batch_size=64)
    take_run(longer)
    with stored_config(longer):
        pass
    assert load_config(stored.directory() / CONFIG) == replace(longer, resume=False)


def test_u1_a_continuation_that_is_refused_later_keeps_the_configuration_of_its_run(stored: TrainConfig):
    """Some differences are found by the processes alone, such as those of networks or of a workcell's spaces."""
    before = (stored.directory() / CONFIG).read_bytes()
    is_refused_after(replace(stored, agent=SacConfig(hidden_dims=(9,))), lambda directory: None)
    assert (stored.directory() / CONFIG).read_bytes() == before


def test_a_continuation_that_got_further_keeps_its_configuration(stored: TrainConfig):
    is_refused_after(replace(stored, steps=77_000), append_transition)
    assert load_config(stored.directory() / CONFIG).steps == 77_000


def test_u3_a_new_run_that_is_refused_by_its_processes_does_not_block_the_corrected_command(config: TrainConfig):
    take_run(config)
    is_refused_after(config, leave_traces)
    assert [path.name for path in config.directory().iterdir()] == [LOGS]
    take_run(config)


def test_u3_a_refused_run_without_logs_leaves_no_directory(config: TrainConfig):
    take_run(config)
    is_refused_after(config, lambda directory: None)
    assert not config.directory().exists()


def test_a_run_that_has_transitions_keeps_them_whatever_ends_it(config: TrainConfig):
    take_run(config)
    is_refused_after(config, append_transition)
    with pytest.raises(RunExists):
        take_run(config)


@pytest.mark.parametrize(
    ("env", "answer"),
    [
        ("Pendulumm-v1", "Did you mean: `Pendulum`?"),
        ("Pendulum-v77", "versioned environments: [ `v1` ]"),
        ("tests.support.tiny_env:FollowTarge-v0", "there is no environment 'tests.support.tiny_env:FollowTarge-v0'"),
        ("tests.support.tiny_envv:FollowTarget-v0", "cannot be imported"),
        ("a:b:FollowTarget-v0", "cannot be imported"),
    ],
)
def test_u3_a_mistyped_environment_is_refused_before_anything_is_made(
    env: str, answer: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    status, said = run_main(capsys, monkeypatch, "train", "--env", env, "--out", str(tmp_path / "run"))
    assert status == 2
    assert answer in said
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("env", [ENV, "Pendulum-v1", "Pendulum", "gymnasium:Pendulum-v1"])
def test_an_environment_that_gymnasium_can_make_is_not_refused(env: str):
    require_env_id(env)


def test_u3_demonstrations_that_are_not_there_are_refused_before_anything_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    where = ("--replay.demos", str(tmp_path / "none.sqlite"), "--out", str(tmp_path / "run"))
    status, said = run_main(capsys, monkeypatch, "train", "--env", ENV, *where)
    assert status == 2
    assert "none.sqlite" in said
    assert not (tmp_path / "run").exists()


def test_u1_a_policy_is_not_loaded_for_other_spaces_or_other_networks(config: TrainConfig):
    here = AgentSpec.of(ENV, gym.make(ENV))
    directory = config.directory()
    directory.mkdir()
    agent = make_agent(config, here, Seeds(0))
    Checkpoints(directory / CHECKPOINTS).save(1, {"agent": agent.state_dict()})
    assert load_policy(config, None, here)[0] == 1

    wider = replace(config, agent=replace(config.agent, hidden_dims=(9,)))
    with pytest.raises(CheckpointError, match="other networks"):
        load_policy(wider, None, here)

    there = AgentSpec.of("Pendulum-v1", gym.make("Pendulum-v1"))
    with pytest.raises(RlError, match="other networks"):
        load_policy(config, None, there)
    (directory / SPEC).write_text(here.model_dump_json())
    with pytest.raises(SchemaMismatch, match="not like the one"):
        load_policy(config, None, there)


@pytest.mark.parametrize(
    ("capacity", "keeps_all", "is_refused"), [(99, False, True), (99, True, False), (100, False, False)]
)
def test_l16_a_smaller_buffer_has_no_transitions_deleted_unasked(
    tmp_path: Path, capacity: int, keeps_all: bool, is_refused: bool
):
    config = TrainConfig(env=ENV, out=tmp_path / "run", replay=ReplayConfig(capacity=100))
    take_run(config)
    save_config(config, config.directory() / CONFIG)
    asked = replace(config, resume=True, replay=ReplayConfig(capacity=capacity, keep_all=keeps_all))
    if is_refused:
        with pytest.raises(ConfigError, match="capacity=99 is smaller than the 100"):
            take_run(asked)
    else:
        take_run(asked)
