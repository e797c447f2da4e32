"""A run that starts from demonstrations corrects their clone: it has its success, keeps it, and goes on exactly."""

from __future__ import annotations

import shutil
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console

from rl import SAC
from rl.agents.continuous.proposal_config import ProposalConfig
from rl.cli import main
from rl.cli.training import parse_train_options
from rl.common.evaluation import evaluate
from rl.config import TrainConfig, load_config
from rl.data.demos import DemoWriter, record_demos
from rl.errors import CheckpointNotFound, ConfigError, DataError, JournalError, RunExists, SchemaMismatch
from rl.evaluation.evaluate import run_eval
from rl.offline.bc_options import SETTINGS as BC
from rl.presets import PRESETS, default, make_preset
from rl.training.base_checkpoint import CheckpointBase, StoredPolicy
from rl.training.demo_clone import clone_demos, has_clone, provide_clone
from rl.training.preflight import require_startable
from rl.training.same_run import require_same_run, stored_config, take_run
from rl.training.start_from_demos import starting_from_demos, with_cloned_demos
from rl.utils.checkpoint import Checkpoints, load_checkpoint
from rl.utils.run_directory import CHECKPOINTS, CLONE, CONFIG, SPEC
from rl.utils.seeds import Seeds
from rl.utils.subprocesses import Child, StopSignal
from rl.wrappers.adapter_config import EnvAdapterConfig
from rl.wrappers.base_observation import base_action_in
from rl.wrappers.make_env import make_env
from tests.end_to_end.runs import free_port
from tests.rl.offline.test_train_bc import StopAfter
from tests.rl.training.small_agents import ENV, NETWORKS, one_thread, small_sac
from tests.rl.training.test_exact_resume import assert_same

__all__ = ["one_thread"]

SILENT = Console(quiet=True)


@pytest.fixture(scope="module")
def demos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Episodes of an expert for `FollowTarget`."""
    path = tmp_path_factory.mktemp("demos") / "demos.sqlite"
    record_demos(path, make_env(ENV), lambda observation: observation[:1], 12, seed=3)
    return path


@pytest.fixture(autouse=True)
def _short_cloning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rl.training.demo_clone.CLONING", ProposalConfig(cloning_updates=150, hidden_dims=(32,)))


def cloned(files: Path, **settings: Any) -> SAC:
    return small_sac(from_demos=files, **settings)


def configured(demos: Path, out: Path, **changes: Any) -> TrainConfig:
    return with_cloned_demos(replace(default(), **{"env": ENV, "from_demos": (demos,), "out": out, **changes}))


def weights(clone: Path) -> Any:
    return load_checkpoint(clone / CHECKPOINTS)[1]["agent"]["modules"]


def test_before_the_first_step_success_is_that_of_the_clone(demos: Path, tmp_path: Path):
    agent = cloned(demos)
    first = agent.evaluate(20, seed=5)
    agent.save(tmp_path)
    base = CheckpointBase(StoredPolicy.find(tmp_path / CLONE), make_env(ENV), EnvAdapterConfig())
    assert first == evaluate(base.act, make_env(ENV), 20, Seeds(5).integer("eval"))
    assert 0.0 < first["success_rate"] <= 1.0
    corrected = replace(load_config(tmp_path / CONFIG), seed=5)
    alone = replace(BC.read(tmp_path / CLONE), seed=5, out=tmp_path / CLONE)
    assert run_eval(corrected, None, 20, None, SILENT) == run_eval(alone, None, 20, None, SILENT)


def test_the_learner_s_demonstrations_are_those_that_were_cloned_and_more_can_be_added(demos: Path, tmp_path: Path):
    more = tmp_path / "more.sqlite"
    record_demos(more, make_env(ENV), lambda observation: observation[:1], 3, seed=4)
    agent = cloned(demos, demos=[more])
    assert agent.run_config.replay.demos == (demos, more)
    memory = agent._session._collected().memory.demos
    assert memory is not None
    assert len(memory) == 150
    rows = memory.sample(len(memory), indices=np.arange(len(memory)))
    wanted = (rows["observations"][:, :1] - base_action_in(rows["observations"], 1)) / 0.2
    np.testing.assert_allclose(rows["actions"], wanted.clip(-1, 1), atol=1e-5)


def test_what_keeps_the_success_is_the_default_of_this_way_alone_and_can_be_changed(demos: Path):
    words = ("--env", ENV, "--from-demos", str(demos))
    for preset in ("default", "demo", "serl"):
        plain, begun = (parse_train_options("train", ["--preset", preset, *given]) for given in (words[:2], words))
        assert begun == replace(starting_from_demos(plain), from_demos=(demos,))
        assert begun.random_steps == 0
        agent = begun.agent
        assert (agent.standardises_inputs, agent.actor_starts_after, agent.mode_penalty) == (True, 1000, 3.0)
        assert not plain.agent.mode_penalty
    given = ("--random-steps", "7", "--agent.mode-penalty", "0", "--agent.no-standardises-inputs")
    changed = parse_train_options("train", [*words, *given])
    assert (changed.random_steps, changed.agent.mode_penalty, changed.agent.standardises_inputs) == (7, 0.0, False)
    assert changed.agent.actor_starts_after == 1000


def test_no_preset_starts_from_demonstrations():
    for name in PRESETS:
        config = make_preset(name)
        assert (config.from_demos, config.agent.actor_starts_after, config.agent.mode_penalty) == ((), 0, 0.0)


def test_the_defaults_in_python_are_those_of_the_command_and_given_networks_stay(demos: Path):
    with SAC(ENV, from_demos=[demos]) as agent:
        config = agent.run_config
    by_command = parse_train_options("train", ["--env", ENV, "--from-demos", str(demos)])
    pace = {"preset": "api", "steps": config.steps, "max_lead": None, "compile": False}
    assert with_cloned_demos(replace(by_command, **pace)) == config
    with SAC(ENV, NETWORKS, from_demos=demos) as agent:
        assert agent.run_config.agent == NETWORKS
        assert agent.run_config.random_steps == 0
    assert cloned(demos, random_steps=20).run_config.random_steps == 20


def test_what_it_sets_is_in_the_log_with_the_time_of_the_cloning(demos: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO")
    SAC(ENV, from_demos=demos, residual_scale=0.3).close()
    cloning = ("cloning 120 demonstrated steps", "CPU-seconds: the squared error of an action is")
    settings = ("random_steps=0", "standardises_inputs=True", "actor_starts_after=1000", "mode_penalty=3.0")
    for said in (*cloning, "residual_scale=0.3", *settings):
        assert said in caplog.text


def test_the_policy_stays_the_clone_until_the_critics_have_learned(demos: Path):
    agent = small_sac(from_demos=demos, config=replace(NETWORKS, actor_starts_after=10), random_steps=0)
    first = agent.evaluate(10, seed=1)
    assert agent.train(36).evaluate(10, seed=1) == first
    assert agent.updates == 4


def test_global_generators_and_threads_stay_as_they_are(demos: Path):
    torch.set_num_threads(2)
    torch_before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()
    cloned(demos).close()
    assert torch.get_num_threads() == 2
    assert torch.equal(torch.get_rng_state(), torch_before)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_before)


def test_a_run_that_was_stored_goes_on_as_if_it_had_not(demos: Path, tmp_path: Path):
    cloned(demos, out=tmp_path / "run").train(40).close()
    shutil.move(tmp_path / "run", tmp_path / "moved")
    loaded = SAC.load(tmp_path / "moved", out=tmp_path / "moved").train(40)
    straight = cloned(demos).train(40).train(40)
    assert_same(straight.core.state_dict(), loaded.core.state_dict(), "agent")
    loaded.save(tmp_path / "copy")
    assert SAC.load(tmp_path / "copy").evaluate(5, seed=1) == loaded.evaluate(5, seed=1)


def test_an_agent_that_was_closed_unsaved_still_predicts_and_names_what_it_cannot_do(demos: Path):
    agent = cloned(demos)
    observation = np.array([0.4, 2.0], np.float32)
    before = agent.predict(observation)
    agent.close()
    np.testing.assert_array_equal(agent.predict(observation), before)
    with pytest.raises(ConfigError, match=r"closed before it was saved"):
        agent.evaluate(1, env=ENV)


def test_processes_make_the_clone_of_python_and_leave_it_alone_afterwards(demos: Path, tmp_path: Path):
    cloned(demos, out=tmp_path / "python").close()
    config = configured(demos, tmp_path / "run")
    assert provide_clone(config, StopSignal(), SILENT)
    assert_same(weights(tmp_path / "python" / CLONE), weights(tmp_path / "run" / CLONE), "policy")
    before = (tmp_path / "run" / CLONE / "metrics.jsonl").read_bytes()
    assert provide_clone(replace(config, resume=True), StopSignal(), SILENT)
    assert (tmp_path / "run" / CLONE / "metrics.jsonl").read_bytes() == before


def test_a_cloning_that_was_stopped_is_taken_up_and_ends_as_an_undisturbed_one(demos: Path, tmp_path: Path):
    config = configured(demos, tmp_path / "run")
    assert not provide_clone(config, StopAfter(7), SILENT)
    assert not has_clone(tmp_path / "run" / CLONE)
    assert provide_clone(replace(config, resume=True), StopSignal(), SILENT)
    assert clone_demos(config, (demos,), tmp_path / "straight", StopSignal(), SILENT)
    assert_same(weights(tmp_path / "straight"), weights(tmp_path / "run" / CLONE), "policy")


def test_a_clone_that_is_gone_or_was_changed_is_refused(demos: Path, tmp_path: Path):
    run = tmp_path / "run"
    cloned(demos).train(20).save(run)
    config = replace(load_config(run / CONFIG), out=run, resume=True, steps=1000)
    step, state = load_checkpoint(run / CLONE / CHECKPOINTS)
    state["agent"]["modules"] = {name: 2 * value for name, value in state["agent"]["modules"].items()}
    Checkpoints(run / CLONE / CHECKPOINTS).save(step, state)
    for use in (
        lambda: SAC.load(run),
        lambda: require_startable(config),
        lambda: run_eval(config, None, 1, None, SILENT),
    ):
        with pytest.raises(SchemaMismatch, match="the base policy was changed"):
            use()
    shutil.rmtree(run / CLONE)
    for use in (
        lambda: SAC.load(run),
        lambda: require_startable(config),
        lambda: provide_clone(config, StopSignal(), SILENT),
    ):
        with pytest.raises(CheckpointNotFound, match=r"no finished clone in .*put it back"):
            use()


def test_a_resume_keeps_what_was_cloned(demos: Path, tmp_path: Path):
    stored = configured(demos, tmp_path)
    require_same_run(stored, replace(stored, replay=replace(stored.replay, demos=(Path("moved.sqlite"),))))
    with pytest.raises(SchemaMismatch, match=r"has from_demos .*demos.sqlite, not other.sqlite: .* what it has cloned"):
        require_same_run(stored, replace(stored, from_demos=(Path("other.sqlite"),)))
    with pytest.raises(SchemaMismatch, match=r"has from_demos None, not"):
        require_same_run(replace(stored, from_demos=()), stored)
    with pytest.raises(ConfigError, match="what a new run starts from"):
        SAC.load(tmp_path, from_demos=demos)


@pytest.mark.parametrize("setting", ["demos", "from_demos"])
def test_a_stored_run_whose_demonstrations_have_moved_is_told_where_they_lie(demos: Path, tmp_path: Path, setting: str):
    here, run = tmp_path / "here.sqlite", tmp_path / "run"
    shutil.copy(demos, here)
    settings: dict[str, Any] = {setting: here, "residual_scale": [0.1], "random_steps": 8, "training_starts": 8}
    if setting == "demos":
        del settings["residual_scale"]
    with closing(SAC(ENV, batch_size=8, **settings)) as agent:
        agent.train(10).save(run)
    moved = here.rename(tmp_path / "moved.sqlite")
    seen = np.zeros(2, np.float32)
    with closing(SAC.load(run)) as agent:
        action = agent.predict(seen)
        with pytest.raises(ConfigError, match=r"here\.sqlite\. .*give where they are now by demos$"):
            agent.train(10)
    with closing(SAC.load(run, demos=moved)) as agent:
        np.testing.assert_array_equal(agent.predict(seen), action)
        assert agent.train(10).env_steps == 20


def test_a_new_run_that_is_refused_leaves_no_clone_and_one_that_was_there_before_stays(demos: Path, tmp_path: Path):
    config = configured(demos, tmp_path / "run")
    take_run(config)

    def refuse() -> None:
        with stored_config(config):
            provide_clone(config, StopSignal(), SILENT)
            raise ConfigError("for a reason")

    with pytest.raises(ConfigError, match="for a reason"):
        refuse()
    assert not (tmp_path / "run").exists()
    (tmp_path / "run" / CLONE).mkdir(parents=True)
    for use in (lambda: take_run(config), lambda: cloned(demos, out=tmp_path / "run")):
        with pytest.raises(RunExists, match="a new run keeps its clone there"):
            use()
    assert [path.name for path in (tmp_path / "run").iterdir()] == [CLONE]


@pytest.mark.parametrize("command", ["train", "learner"])
def test_a_command_clones_before_anything_else_begins_and_leaves_nothing_when_that_is_refused(
    command: str,
    demos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    caplog.set_level("INFO")
    out, found = tmp_path / "run", []

    def refuse(*_: Any) -> None:
        found.append((has_clone(out / CLONE), load_config(out / CONFIG).replay.demos))
        raise ConfigError("for a reason")

    monkeypatch.setattr("rl.utils.subprocesses.StopSignal.listen", lambda self: self)
    monkeypatch.setattr(Child, "start", refuse)
    monkeypatch.setattr("rl.training.processes.run_main", refuse)
    with pytest.raises(SystemExit) as ended:
        main([command, "--env", ENV, "--from-demos", str(demos), "--out", str(out), "--link.port", str(free_port())])
    assert ended.value.code == 2
    assert found == [(True, (demos,))]
    assert not out.exists()
    assert "--random-steps 0, --agent.standardises-inputs True, --agent.actor-starts-after 1000" in caplog.text


def test_demonstrations_that_cannot_be_cloned_are_refused(demos: Path, tmp_path: Path):
    env = make_env(ENV)
    DemoWriter(tmp_path / "empty.sqlite", env.observation_space, env.action_space).close()
    with pytest.raises(DataError, match=r"empty.sqlite holds no demonstration to clone: record some"):
        cloned(tmp_path / "empty.sqlite")
    with pytest.raises(JournalError):
        cloned(tmp_path / "nowhere.sqlite")
    with pytest.raises(DataError, match=r"does not fit the environment: .*frame_stack"):
        cloned(demos, frame_stack=2)
    with pytest.raises(DataError, match="does not fit the environment"):
        SAC("Pendulum-v1", from_demos=demos)
    for changes in ({"frame_stack": 2}, {"env": "Pendulum-v1"}):
        with pytest.raises(DataError, match="does not fit the environment"):
            require_startable(configured(demos, tmp_path / "run", **changes))
    gone = configured(tmp_path / "nowhere.sqlite", tmp_path / "run")
    with pytest.raises(ConfigError, match=r"^from_demos takes files, and these do not exist"):
        gone.require_trainable()
    with pytest.raises(ConfigError, match=r"give where they are now by demos$"):
        replace(gone, resume=True).require_trainable()
    with pytest.raises(ConfigError, match=r"--from-demos needs a file of demonstrations"):
        parse_train_options("train", ["--from-demos"])
    assert not (tmp_path / "run").exists()


def test_one_policy_is_corrected_and_by_agents_that_can(demos: Path):
    with pytest.raises(ConfigError, match=r"base and from_demos name two policies to correct"):
        cloned(demos, base="tests.support.base_experts:good")
    with pytest.raises(ConfigError, match=r"from_demos and proposal are two frozen policies"):
        cloned(demos, config=replace(NETWORKS, proposal=ProposalConfig(acts=True)))
    for agent in ("hybrid-single", "hybrid-dual"):
        with pytest.raises(ConfigError, match=r"whole gripper commands, .* no correction of those of from_demos"):
            parse_train_options("train", ["--agent", agent, "--from-demos", str(demos)])


def test_an_actor_before_its_learner_is_told_who_makes_the_clone(demos: Path, tmp_path: Path):
    from rl.training.base_policies import find_residual

    with pytest.raises(CheckpointNotFound, match="its training or its learner made there before the first step"):
        find_residual(configured(demos, tmp_path))
    assert not (tmp_path / SPEC).exists()
