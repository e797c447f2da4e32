"""`examples/async_sac_state_sim`: SERL's flags reach the run, through the shell scripts too."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from examples.async_sac_state_sim.async_sac_state_sim import Flags, arguments_of, main
from rl.__main__ import parse_train_options

from .runs import ROOT

FOLDER = ROOT / "examples" / "async_sac_state_sim"


def config_of(flags: Flags):
    return parse_train_options("learner", arguments_of(flags)[1:])


def test_the_defaults_are_serl_s():
    config = config_of(Flags(learner=True))
    assert (config.env, config.seed, config.batch_size, config.steps) == ("HalfCheetah-v4", 42, 256, 1_000_000)
    assert (config.random_steps, config.training_starts, config.log_every) == (300, 300, 10)
    assert (config.evaluation.every_steps, config.evaluation.episodes) == (2000, 5)
    assert config.replay.capacity == 1_000_000
    assert (config.env_steps_per_update, config.max_lead) == (None, None)
    assert (config.sac.critic_ensemble_size, config.sac.critic_subsample_size) == (10, 2)


def test_the_critic_actor_ratio_reaches_the_learner():
    """S1: SERL's learner asks for a flag of another name and crashes."""
    assert config_of(Flags(learner=True, critic_actor_ratio=4)).utd_ratio == 4


@pytest.mark.parametrize("role", ["learner", "actor"])
def test_every_line_of_the_scripts_is_passed_on(role: str, tmp_path: Path):
    """S3: a comment inside a continued line cut SERL's command in two, so `--debug` never arrived."""
    dump = "import sys; print(*sys.argv[1:], sep='\\n')"
    shim = f'#!/bin/sh\nexec {sys.executable} -c "{dump}" "$@"\n'
    arguments = run_script(role, shim, tmp_path)
    assert f"--{role}" in arguments
    assert "--debug" in arguments
    assert arguments[-2:] == ["--seed", "7"]
    assert "--random_steps 1000 --training_starts 1000" in " ".join(arguments)


def run_script(role: str, shim: str, folder: Path) -> list[str]:
    python = folder / "python"
    python.write_text(shim)
    python.chmod(0o755)
    done = subprocess.run(
        [FOLDER / f"run_{role}.sh", "--seed", "7"],
        env={**os.environ, "PYTHON": str(python)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split("\n")[:-1]


def test_one_role_must_be_chosen():
    with pytest.raises(SystemExit, match="--learner or --actor"):
        main([])
