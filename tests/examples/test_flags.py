"""The examples for people who come from SERL: their flags and scripts ask `robotkit-train` for the same."""

from __future__ import annotations

import importlib
import os
from functools import partial
from pathlib import Path

import gymnasium
import pytest
import tyro

from examples.async_bin_relocation_fwbw_drq import async_drq_randomized as bin_relocation
from examples.async_bin_relocation_fwbw_drq import record_demo
from examples.async_bin_relocation_fwbw_drq.async_drq_randomized import Flags as BinFlags
from examples.async_drq_sim.async_drq_sim import Flags as SimFlags
from examples.async_peg_insert_drq.async_drq_randomized import Flags as PegFlags
from examples.async_sac_state_sim.async_sac_state_sim import Flags as StateFlags
from examples.bc_policy import bc_policy
from examples.serl import flags as serl_flags
from examples.serl.__main__ import main as run_script
from examples.serl.scripts import SCRIPTS
from examples.serl_envs import TASKS, env_id
from rl.cli.table import find_command, split_command
from rl.cli.training import parse_train_options
from rl.errors import ConfigError
from rl.offline.bc import TrainBcOptions

from .scripts import EXAMPLES, words_of


def learner_of(flags):
    command, *rest = serl_flags.command_of(flags)
    assert command == "learner"
    return parse_train_options("learner", rest)


def test_the_defaults_are_serl_s():
    config = learner_of(PegFlags(learner=True))
    assert (config.agent_name, config.seed, config.batch_size, config.utd_ratio) == ("drq", 42, 256, 4)
    assert (config.random_steps, config.training_starts, config.publish_every, config.log_every) == (300, 300, 30, 10)
    assert (config.replay.capacity, config.replay.demo_share, config.steps) == (200_000, 0.5, 1_000_000)
    assert (config.agent.critic_ensemble_size, config.agent.critic_subsample_size) == (10, 2)
    assert config.evaluation.every_steps == 0  # SERL's actor on a robot never evaluates
    simulated = learner_of(SimFlags(learner=True))
    assert (simulated.env, simulated.evaluation.every_steps) == ("envs:PandaPickCubeVision-v0", 2000)
    states = learner_of(StateFlags(learner=True))
    assert (states.env, states.agent_name, states.seed, states.batch_size) == ("HalfCheetah-v4", "sac", 42, 256)
    assert (states.random_steps, states.training_starts, states.publish_every, states.log_every) == (300, 300, 1, 10)
    assert (states.replay.capacity, states.steps) == (1_000_000, 1_000_000)
    assert (states.evaluation.every_steps, states.evaluation.episodes) == (2000, 5)
    assert (states.env_steps_per_update, states.max_lead) == (None, None)
    assert (states.agent.critic_ensemble_size, states.agent.critic_subsample_size) == (10, 2)


def test_the_critic_actor_ratio_reaches_the_learner():
    """S1: the learner of SERL's state example asks for a flag of another name and crashes."""
    for flags in (StateFlags, SimFlags):
        assert learner_of(flags(learner=True, critic_actor_ratio=3)).utd_ratio == 3


def test_two_learners_have_two_ports_and_two_directories():
    forward, backward = (learner_of(BinFlags(learner=True, fwbw=way)) for way in ("fw", "bw"))
    assert (forward.link.port, backward.link.port) == (6678, 6690)
    assert forward.out != backward.out
    with pytest.raises(ConfigError, match="each way"):
        BinFlags(fw_reward_classifier_ckpt_path=Path("a")).classifiers()


def test_every_script_of_the_table_is_there_and_no_other():
    shims = {str(path.relative_to(EXAMPLES)): path for path in EXAMPLES.glob("*/*.sh") if path.parent.name != "serl"}
    assert set(shims) == set(SCRIPTS)
    assert len({path.read_text() for path in shims.values()}) == 1, "they differ in their names alone"
    assert all(os.access(path, os.X_OK) for path in shims.values())


@pytest.mark.parametrize("folder", [".", "examples/async_peg_insert_drq"])
def test_a_script_starts_its_row_of_the_table_from_any_folder(folder: str, tmp_path: Path, monkeypatch):
    script = EXAMPLES / "async_peg_insert_drq" / "run_learner.sh"
    monkeypatch.chdir(EXAMPLES.parent / folder)
    words = words_of(f"./{os.path.relpath(script)}", tmp_path, "--exp_name", "two words")
    assert words == ["-m", "examples.serl", "async_peg_insert_drq/run_learner.sh", "--exp_name", "two words"]


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_says_what_its_command_understands(name: str):
    """S3: a comment inside a continued line cut SERL's command in two."""
    module, words = SCRIPTS[name].module, [*SCRIPTS[name].words, "--seed", "7"]
    if module == "rl":
        command, rest = split_command(words)
        assert find_command(command).parse(command, rest).seed == 7
    elif module.endswith("record_demo"):
        flags, rest = tyro.cli(record_demo.Flags, args=words, use_underscores=True, return_unknown_args=True)
        assert (f"_{flags.fwbw}_" in name, rest) == (True, ["--seed", "7"])
    elif module == bc_policy.__name__:
        command, *rest = bc_policy.arguments_of(tyro.cli(bc_policy.Flags, args=words, use_underscores=True))
        options = tyro.cli(TrainBcOptions, args=rest)
        assert (command, options.seed, options.sees_images) == ("bc", 7, True)
    else:
        flags, rest = serl_flags.parse(importlib.import_module(module).Flags, words)
        assert (rest, flags.seed, flags.debug) == ([], 7, True)
        assert flags.learner == ("learner" in name)
        parse_train_options("actor", serl_flags.learning(flags))


def test_the_flags_of_a_script_are_those_of_serl_s():
    """Two rows in full: one from states, one of two ways."""
    assert SCRIPTS["async_sac_state_sim/run_learner.sh"].words == (
        *("--learner", "--env", "PandaPickCube-v0", "--exp_name", "serl_dev_sim_test", "--seed", "0"),
        *("--random_steps", "1000", "--training_starts", "1000", "--critic_actor_ratio", "8", "--batch_size", "256"),
        "--debug",
    )
    assert SCRIPTS["async_bin_relocation_fwbw_drq/run_bw_learner.sh"].words == (
        *("--learner", "--fwbw", "bw", "--env", "FrankaBinRelocation-Vision-v0"),
        *("--exp_name", "serl_dev_drq_rlpd20demos_bin_fwbw", "--seed", "0"),
        *("--random_steps", "200", "--training_starts", "200", "--critic_actor_ratio", "4", "--batch_size", "256"),
        *("--debug", "--demo_path", "runs/bin_bw_20_demos.sqlite", "--checkpoint_period", "1000"),
    )


def test_a_script_that_is_not_there_is_answered_with_what_is_close(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit, match=r"Did you mean 'async_peg_insert_drq/run_actor\.sh'"):
        run_script(["async_peg_insert_drq/run_actors.sh"])
    run_script([])
    shown = capsys.readouterr().out
    assert all(name in shown for name in SCRIPTS)


def test_other_options_go_on_to_the_learner_s_command():
    flags, rest = serl_flags.parse(PegFlags, ["--learner", "--agent.hidden-dims", "16", "--no-compile"])
    config = parse_train_options("learner", [*serl_flags.command_of(flags)[1:], *rest])
    assert (config.agent.hidden_dims, config.compile) == ((16,), False)


def test_one_role_must_be_chosen_and_pickles_are_imported_first():
    with pytest.raises(ConfigError, match="--learner or --actor"):
        serl_flags.parse(PegFlags, [])
    with pytest.raises(ConfigError, match=r"import serl demos\.pkl"):
        serl_flags.parse(PegFlags, ["--learner", "--demo_path", "demos.pkl"])


@pytest.mark.parametrize(
    ("program", "line", "said"),
    [
        (partial(serl_flags.run, PegFlags), [], "say either --learner or --actor"),
        (bin_relocation.main, ["--learner", "--actor"], "say either --learner or --actor"),
        (bc_policy.main, [], "say what to clone"),
    ],
)
def test_an_example_refuses_as_the_commands_do(program, line, said, capsys):
    with pytest.raises(SystemExit) as ended:
        program(line)
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith(f"error: {said}")


def test_each_of_serl_s_ids_is_known_under_its_name():
    assert {env_id(name).split(":")[1] for name in TASKS} <= set(gymnasium.registry)
    assert env_id("PandaPickCubeVision-v0") == "envs:PandaPickCubeVision-v0"
    assert env_id("my_lab:MyPeg-v0") == "my_lab:MyPeg-v0"
