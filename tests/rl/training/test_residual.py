"""A run on a base policy begins with the base's success, stores what was executed, and goes on exactly."""

from __future__ import annotations

import shutil
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from rich.console import Console

from rl import SAC
from rl.agents.continuous.agent_configs import default_agent_config
from rl.agents.continuous.proposal_config import ProposalConfig
from rl.common.evaluation import evaluate
from rl.common.optimizer_config import OptimizerConfig
from rl.config import TrainConfig, load_config
from rl.data.demos import record_demos
from rl.data.journal import TransitionJournal
from rl.data.schema import EXTRAS
from rl.errors import CheckpointError, CheckpointNotFound, ConfigError, PolicyUnavailable, SchemaMismatch
from rl.evaluation.evaluate import run_eval
from rl.link.hub import LearnerHub
from rl.link.messages import AgentSpec, Handshake
from rl.offline.bc import train_bc
from rl.offline.bc_options import SETTINGS as BC
from rl.training.agent_factory import KINDS
from rl.training.base_policies import find_residual
from rl.training.preflight import require_startable
from rl.training.processes import learn, run_actor_process, run_evaluator_process
from rl.training.session import Session
from rl.training.settings import make_config
from rl.training.trainer import Progress
from rl.utils.checkpoint import Checkpoints, load_checkpoint
from rl.utils.run_directory import CHECKPOINTS, CONFIG, JOURNAL, SPEC
from rl.utils.seeds import Seeds
from rl.utils.subprocesses import StopSignal
from rl.wrappers.base_observation import base_action_in, executed_action
from rl.wrappers.make_env import make_env
from rl.wrappers.residual_config import ResidualConfig
from tests.rl.offline.test_train_bc import StopAfter, options
from tests.rl.training.small_agents import ENV, NETWORKS, PIXEL_ENV, one_thread, small_drq, small_sac
from tests.rl.training.test_exact_resume import assert_same
from tests.support.base_experts import act
from tests.support.policy_server import PolicyScript, actions, serving, silent_socket

__all__ = ["one_thread"]

GOOD, BAD = ("tests.support.base_experts:good", "tests.support.base_experts:bad")
SILENT = Console(quiet=True)


@pytest.fixture(scope="module")
def demos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Episodes of an expert for `FollowTarget`."""
    path = tmp_path_factory.mktemp("demos") / "demos.sqlite"
    record_demos(path, make_env(ENV), lambda observation: observation[:1], 12, seed=3)
    return path


@pytest.fixture(scope="module")
def clone(demos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a behaviour cloning of these demonstrations."""
    out = tmp_path_factory.mktemp("clone") / "bc"
    train_bc(options(demos, out, epochs=10), StopAfter(), SILENT)
    return out


def evaluated_alone(act: Any) -> dict[str, float]:
    return evaluate(act, make_env(ENV), 20, Seeds(5).integer("eval"))


@pytest.mark.parametrize(("base", "offset", "success"), [(GOOD, 0.1, 1.0), (BAD, 0.5, 0.0)])
def test_before_the_first_step_success_is_that_of_an_expert(base: str, offset: float, success: float):
    agent = small_sac(base=base)
    alone = evaluated_alone(lambda observation: act(observation, offset))
    assert agent.evaluate(20, seed=5) == alone
    assert alone["success_rate"] == success


def test_before_the_first_step_success_is_that_of_a_stored_clone(clone: Path, tmp_path: Path):
    small_sac(base=clone).save(tmp_path)
    corrected = replace(load_config(tmp_path / CONFIG), seed=5)
    alone = replace(BC.read(clone), seed=5)
    assert run_eval(corrected, None, 10, None, SILENT) == run_eval(alone, None, 10, None, SILENT)


def test_the_mode_of_a_new_policy_is_zero_everywhere_also_from_images():
    seen = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    averaged = small_sac(base=GOOD, config=replace(NETWORKS, average_policy=True))
    for agent in (small_sac(base=GOOD), averaged):
        np.testing.assert_array_equal(agent.core.sample_actions(seen, argmax=True), 0.0)
        assert agent.core.sample_actions(seen).any()
    agent = small_drq(base="tests.support.base_experts:still")
    for _ in range(5):
        np.testing.assert_array_equal(agent.core.sample_actions(agent.env.observation_space.sample(), argmax=True), 0.0)


def test_every_stored_residual_tells_the_executed_action_and_stays_within_its_scale(tmp_path: Path):
    small_sac(base=BAD, residual_scale=0.25, out=tmp_path / "run").train(60).close()
    with TransitionJournal(tmp_path / "run" / JOURNAL, read_only=True) as journal:
        blocks = [block.transitions for block in journal.blocks()]
    assert sum(len(block["rewards"]) for block in blocks) == 60
    for block in blocks:
        base = base_action_in(block["observations"], 1)
        np.testing.assert_array_equal(base, [act(row, 0.5) for row in block["observations"]])
        rebuilt = executed_action(base, block["actions"], (0.25,))
        np.testing.assert_allclose(block["executed_actions"], rebuilt, atol=1e-6)
        assert np.abs(block["executed_actions"] - base).max() <= 0.25 + 1e-6
        assert np.abs(block["actions"]).max() > 0.2


@pytest.mark.parametrize("make", [small_sac, small_drq], ids=["sac", "drq"])
def test_a_run_that_was_stopped_goes_on_as_if_it_had_not(make: Any, tmp_path: Path):
    make = partial(make, base=GOOD if make is small_sac else "tests.support.base_experts:still")
    first = make(out=tmp_path / "run").train(40)
    first.close()
    loaded = type(first).load(tmp_path / "run", out=tmp_path / "run").train(40)
    straight = make().train(40).train(40)
    assert loaded.env_steps == 80
    assert_same(straight.core.state_dict(), loaded.core.state_dict(), "agent")


def test_a_correction_of_a_bad_base_is_learned():
    fast = OptimizerConfig(3e-3)
    networks = replace(NETWORKS, actor_optimizer=fast, critic_optimizer=fast)
    agent = small_sac(base=BAD, config=networks, residual_scale=0.5, env_steps_per_update=1, batch_size=64)
    assert agent.evaluate(10, seed=1)["success_rate"] == 0.0
    assert agent.train(300).evaluate(10, seed=1)["return_mean"] > 7.0  # the base's is 5


def test_demonstrations_become_residuals_of_the_stored_base(demos: Path, clone: Path, caplog: Any):
    caplog.set_level("INFO")
    agent = small_sac(base=clone, demos=[demos], residual_scale=0.25)
    memory = agent._session._collected().memory.demos
    assert memory is not None
    rows = memory.sample(len(memory), indices=np.arange(len(memory)))
    base = base_action_in(rows["observations"], 1)
    demonstrated = rows["observations"][:, :1]  # the expert of these demonstrations
    wanted = (demonstrated - base) / 0.25
    np.testing.assert_allclose(rows["actions"], wanted.clip(-1, 1), atol=1e-5)
    far = int((np.abs(wanted) > 1).sum())
    assert f"{far} of {len(memory)} demonstrated steps are farther" in caplog.text
    is_near = np.abs(wanted) < 0.999
    executed = executed_action(base, rows["actions"], (0.25,))
    np.testing.assert_allclose(executed[is_near], demonstrated[is_near], atol=1e-6)
    assert agent.train(40).updates == 5


def test_demonstrations_whose_base_action_nobody_knows_are_refused(demos: Path, clone: Path):
    with pytest.raises(ConfigError, match="acts in an environment alone"):
        small_sac(base=GOOD, demos=[demos])
    with pytest.raises(ConfigError, match=r"observes something else \(frame_stack\)"):
        small_sac(base=clone, demos=[demos], frame_stack=2)


def test_a_base_sees_its_own_stack_of_observations(clone: Path):
    plain, stacked = small_sac(base=clone), small_sac(base=clone, frame_stack=3)
    plain.env.reset(seed=3), stacked.env.reset(seed=3)
    for _ in range(5):
        one, other = (agent.env.step(np.zeros(1, np.float32))[0] for agent in (plain, stacked))
        np.testing.assert_array_equal(base_action_in(one, 1), base_action_in(other, 1))


def test_a_trained_run_is_a_base_too_and_a_residual_is_none(tmp_path: Path):
    run = small_sac().train(40).save(tmp_path / "run")
    agent = small_sac(base=tmp_path / "run")
    assert agent.run_config.base == str(run)
    assert agent.evaluate(10, seed=5) == SAC.load(tmp_path / "run").evaluate(10, seed=5)
    agent.save(tmp_path / "corrected")
    with pytest.raises(ConfigError, match="corrects a base policy itself"):
        small_sac(base=tmp_path / "corrected")


def test_a_base_that_was_moved_is_the_same_one(clone: Path, tmp_path: Path):
    shutil.copytree(clone, tmp_path / "moved")
    moved, before = (small_sac(base=base) for base in (tmp_path / "moved", clone))
    assert moved.evaluate(5, seed=5) == before.evaluate(5, seed=5)
    assert moved.env.get_wrapper_attr("base_facts") == before.env.get_wrapper_attr("base_facts")


def stored(clone: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A copy of the clone, and a run on it."""
    base = tmp_path / "base"
    shutil.copytree(clone, base)
    small_sac(base=base).train(20).save(tmp_path / "run")
    return base, tmp_path / "run"


def test_a_run_names_one_checkpoint_so_that_a_base_may_go_on_learning(clone: Path, tmp_path: Path):
    base, run = stored(clone, tmp_path)
    assert load_config(run / CONFIG).base == str(base / CHECKPOINTS / "step_000000000010")
    step, state = load_checkpoint(base / CHECKPOINTS)
    Checkpoints(base / CHECKPOINTS).save(step + 1, state)
    SAC.load(run).train(4)


def test_a_missing_base_is_refused(clone: Path, tmp_path: Path):
    base, run = stored(clone, tmp_path)
    shutil.rmtree(base / CHECKPOINTS)
    with pytest.raises(CheckpointNotFound, match=r"there is no checkpoint .*step_000000000010, and base needs"):
        SAC.load(run)
    shutil.rmtree(base)
    with pytest.raises(ConfigError, match="does not exist: give the directory of a run"):
        SAC.load(run)


def test_a_changed_base_is_refused_by_every_command(clone: Path, tmp_path: Path):
    base, run = stored(clone, tmp_path)
    step, state = load_checkpoint(base / CHECKPOINTS)
    state["agent"]["modules"] = {name: 2 * value for name, value in state["agent"]["modules"].items()}
    Checkpoints(base / CHECKPOINTS).save(step, state)
    config = replace(load_config(run / CONFIG), out=run)
    for use in (
        lambda: SAC.load(run),
        lambda: run_eval(config, None, 1, None, SILENT),
        lambda: require_startable(replace(config, resume=True, steps=1000)),
    ):
        with pytest.raises(SchemaMismatch, match="the base policy was changed: the run corrects the one with"):
            use()


def test_a_damaged_base_is_refused(clone: Path, tmp_path: Path):
    base, run = stored(clone, tmp_path)
    file = next((base / CHECKPOINTS).glob("step_*10/state.pt"))
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match="damaged"):
        SAC.load(run)


@pytest.mark.parametrize(
    ("base", "message"),
    [
        ("runs/nowhere", "does not exist: give the directory"),
        ("tests.support.base_experts:nobody", "cannot be loaded"),
        (str(Path(__file__).parent), "is there, and no run"),
    ],
)
def test_what_is_no_base_is_refused_with_what_one_is(base: str, message: str):
    with pytest.raises(ConfigError, match=message):
        small_sac(base=base)


def test_a_clone_for_another_environment_is_refused(clone: Path):
    with pytest.raises(ConfigError, match="does not fit this environment"):
        SAC("Pendulum-v1", base=clone)


def test_agents_that_correct_nothing_are_refused():
    with pytest.raises(ConfigError, match="chooses whole gripper commands"):
        TrainConfig(base=GOOD, agent=default_agent_config("hybrid-single"))
    proposing = replace(NETWORKS, proposal=ProposalConfig(acts=True))
    with pytest.raises(ConfigError, match="two frozen policies"):
        TrainConfig(base=GOOD, agent=proposing)


@pytest.mark.parametrize("frame_stack", [1, 3])
def test_a_prediction_on_a_stored_base_is_the_action_that_its_environment_would_take(clone: Path, frame_stack: int):
    networks = replace(NETWORKS, actor_optimizer=OptimizerConfig(3e-3))
    agent = small_sac(base=clone, config=networks, residual_scale=0.25, frame_stack=frame_stack).train(40)
    seen, _ = agent.env.reset(seed=3)
    raw = [agent.env.get_wrapper_attr("newest_observation")]
    for _ in range(5):
        newest = raw[-frame_stack:] if frame_stack > 1 else raw[-1]
        predicted = agent.predict(newest)
        seen, *_, info = agent.env.step(agent.core.sample_actions(seen, argmax=True))
        np.testing.assert_array_equal(predicted, info["executed_action"])
        assert np.abs(predicted - agent.env.get_wrapper_attr("base").actions(raw[-1])).max() > 1e-4, "it is corrected"
        raw.append(agent.env.get_wrapper_attr("newest_observation"))
    if frame_stack == 1:
        each = [agent.predict(observation) for observation in raw]
        np.testing.assert_allclose(agent.predict(np.stack(raw)), each, atol=1e-6)


def test_a_prediction_is_in_the_units_of_the_environment_and_the_same_after_a_load(tmp_path: Path):
    base = SAC("Pendulum-v1", NETWORKS, seed=1).save(tmp_path / "base")
    agent = SAC("Pendulum-v1", NETWORKS, base=base)
    observation = np.array([0.3, -0.9, 4.0], np.float32)
    np.testing.assert_allclose(agent.predict(observation), SAC.load(tmp_path / "base").predict(observation))
    agent.save(tmp_path / "run")
    np.testing.assert_array_equal(SAC.load(tmp_path / "run").predict(observation), agent.predict(observation))
    assert not np.array_equal(agent.predict(observation, deterministic=False), agent.predict(observation))


def test_a_prediction_from_images_is_the_action_that_the_environment_would_take(tmp_path: Path):
    agent = small_drq(PIXEL_ENV, base=small_drq().save(tmp_path / "base"), residual_scale=0.25)
    seen, _ = agent.env.reset(seed=3)
    predicted = agent.predict(agent.env.get_wrapper_attr("newest_observation"))
    info = agent.env.step(agent.core.sample_actions(seen, argmax=True))[-1]
    np.testing.assert_array_equal(predicted, info["executed_action"])


def test_a_base_that_knows_more_than_the_observation_is_not_asked_for_a_prediction(tmp_path: Path):
    with pytest.raises(ConfigError, match="acts in an episode"):
        small_sac(base=GOOD).predict(np.zeros(2, np.float32))
    stacked = small_sac(frame_stack=3).save(tmp_path / "stacked")
    with pytest.raises(ConfigError, match=r"looks at 3 observations, and is given 1 itself: run it in agent.env"):
        small_sac(base=stacked).predict(np.zeros(2, np.float32))


SILENT_FOR_AN_HOUR = ResidualConfig(start_timeout_s=3600.0, answer_timeout_s=3600.0)


@pytest.mark.parametrize(
    "begin",
    [
        lambda config, stop: run_actor_process(config, "actor-0", stop),
        run_evaluator_process,
        require_startable,
    ],
    ids=["actor", "evaluator", "train"],
)
def test_a_process_that_is_to_end_waits_for_no_silent_base(begin: Any):
    stop = StopSignal()
    stop.set()
    with silent_socket() as url, pytest.raises(PolicyUnavailable, match="somebody asked for the end"):
        begin(TrainConfig(env=ENV, base=url, residual=SILENT_FOR_AN_HOUR), stop)


def test_a_training_in_this_process_that_is_to_end_waits_for_no_silent_base():
    script = PolicyScript(lambda asked: actions(0.1))
    with serving(script) as url:
        config = make_config("sac", NETWORKS, ENV, 0, "cpu", (), None, {"base": url})
        with closing(Session(replace(config, residual=SILENT_FOR_AN_HOUR), ENV)) as session:
            script.answer = lambda asked: session._stop.now.set() if len(script.asked) > 3 else actions(0.1)
            session.train(Mock(), 20, [], every=0, episodes=1)
            assert session.progress.env_steps == 2, "the third step has an answer that never came"
            assert not session._stop.is_set()


def spec_of(config: TrainConfig) -> AgentSpec:
    env = make_env(config.env, adaptation=config.adaptation(), residual=find_residual(config))
    return AgentSpec.of(config.env, env, EXTRAS)


def test_the_first_weights_that_actors_get_correct_nothing(tmp_path: Path):
    agent = small_sac(base=GOOD, out=tmp_path / "run").train(60)
    agent.close()
    shutil.rmtree(tmp_path / "run" / CHECKPOINTS)
    config = replace(load_config(tmp_path / "run" / CONFIG), out=tmp_path / "run", learner_threads=1)
    spec = AgentSpec.model_validate_json((tmp_path / "run" / SPEC).read_bytes())
    assert spec == spec_of(config)
    published = []
    with TransitionJournal(tmp_path / "run" / JOURNAL) as journal:
        hub = LearnerHub(journal, ENV, spec)
        hub.publish = published.append  # type: ignore[method-assign]
        learn(config, Seeds(config.seed), hub, spec, Progress(config.steps), StopSignal())
    policy = KINDS["sac"].make_policy(config, spec, 7)
    policy.load_policy_state_dict(published[0].policy)
    seen = np.random.default_rng(0).normal(size=(9, 3)).astype(np.float32)
    np.testing.assert_array_equal(policy.sample_actions(seen, argmax=True), 0.0)
    policy.load_policy_state_dict(published[-1].policy)
    assert policy.sample_actions(seen, argmax=True).any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"base": BAD}, "the base policy was changed"),
        ({"residual": ResidualConfig((0.5,))}, r"has residual_scale \(0.2,\), and here it is \(0.5,\)"),
        ({"base": None}, "the run has one, and here is none"),
    ],
    ids=["base", "scale", "none"],
)
def test_an_actor_with_another_base_is_refused(change: dict[str, Any], message: str, tmp_path: Path):
    config = TrainConfig(env=ENV, base=GOOD)
    with TransitionJournal(tmp_path / JOURNAL) as journal:
        hub = LearnerHub(journal, ENV, spec_of(config))
        hub.register(Handshake(actor="arm", attempt="a", spec=spec_of(config)))
        with pytest.raises(SchemaMismatch, match=message):
            hub.register(Handshake(actor="other", attempt="b", spec=spec_of(replace(config, **change))))


def test_a_pixel_agent_learns_a_correction(tmp_path: Path):
    agent = small_drq(PIXEL_ENV, base="tests.support.base_experts:still")
    assert agent.env.observation_space["state"].shape == (1, 2)
    assert agent.train(32).updates == 2
