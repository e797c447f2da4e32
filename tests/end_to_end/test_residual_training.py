"""`robotkit-train train` with --base and --from-demos in real processes: success of a base, resumes, evaluations."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from rl.agents.continuous.proposal_config import ProposalConfig
from rl.cli import main
from rl.common.evaluation import evaluate
from rl.config import load_config
from rl.data.demos import record_demos
from rl.offline.bc import train_bc
from rl.training.actor import EVALUATION_SEED
from rl.training.base_checkpoint import CheckpointBase, StoredPolicy
from rl.training.demo_clone import has_clone
from rl.utils.run_directory import CLONE, CONFIG
from rl.utils.subprocesses import Child
from rl.wrappers.adapter_config import EnvAdapterConfig
from rl.wrappers.base_observation import base_action_in, executed_action
from rl.wrappers.make_env import make_env
from tests.rl.offline.test_train_bc import StopAfter, options

from .runs import ENV, SMALL, assert_episodes_join, end, last_state, start, stored_by_actor

EVALUATED = ("--evaluation.every-steps", "200", "--evaluation.episodes", "4", "--evaluation.where", "actor")
"""In the actor, after every 200 of its steps: an evaluator of its own may come when these few steps are over."""


def evaluations(out: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if "evaluation/return_mean" in line]


def test_a_run_on_a_clone_has_its_success_in_every_evaluation(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out, bc, demos, log = tmp_path / "run", tmp_path / "bc", tmp_path / "demos.sqlite", tmp_path / "train.log"
    record_demos(demos, make_env(ENV), lambda observation: observation[:1], 12, seed=3)
    train_bc(options(demos, bc, epochs=40), StopAfter(), Console(quiet=True))
    arguments = ("train", *SMALL, *EVALUATED, "--base", bc, "--residual.scale", "0.1", "--replay.demos", demos)
    process = start(*arguments, "--out", out, "--steps", 300, log=log)
    try:
        assert process.wait(240) == 0, log.read_text()
        process = start("train", "--out", out, "--resume", "--steps", 400, log=log)
        assert process.wait(240) == 0, log.read_text()
    finally:
        end(process)
    assert last_state(out)["updates"] == 75
    found = evaluations(out)
    assert len(found) >= 3
    assert min(line["evaluation/success_rate"] for line in found) == 1.0, "no correction of 0.1 spoils this clone"
    assert load_config(out / CONFIG).base == str(bc / "checkpoints" / "step_000000000040")
    stored = stored_by_actor(out)
    assert len(stored) == 2, "an actor of each start"
    for rows in stored.values():
        assert_episodes_join(rows)
        rebuilt = executed_action(base_action_in(rows["observations"], 1), rows["actions"], (0.1,))
        np.testing.assert_allclose(rows["executed_actions"], rebuilt, atol=1e-6)
    main(["evaluate", "--out", str(out), "--episodes", "5"])
    shown = capsys.readouterr().out
    assert "checkpoint after 75 updates, 5 episodes" in shown
    assert re.search(r"success +[0-9]+%", shown)


@pytest.mark.parametrize("base", ["runs/nowhere", "tests.support.base_experts:nobody"])
def test_a_base_that_is_not_there_ends_the_command_before_anything_was_made(base: str, tmp_path: Path):
    log = tmp_path / "train.log"
    process = start("train", *SMALL, "--base", base, "--out", tmp_path / "run", "--steps", 300, log=log)
    assert process.wait(60) == 2, log.read_text()
    assert base in log.read_text()
    assert not (tmp_path / "run").exists()


def test_a_run_from_demonstrations_goes_on_with_its_clone_and_has_its_success_until_it_learns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """It was stopped after a short cloning; the processes find the clone in the run's directory."""
    out, demos, log = tmp_path / "run", tmp_path / "demos.sqlite", tmp_path / "train.log"
    record_demos(demos, make_env(ENV), lambda observation: observation[:1], 12, seed=3)
    monkeypatch.setattr("rl.training.demo_clone.CLONING", ProposalConfig(cloning_updates=150))
    monkeypatch.setattr("rl.utils.subprocesses.StopSignal.listen", lambda self: self)
    monkeypatch.setattr("rl.training.supervisor._supervise", lambda *_: None)
    monkeypatch.setattr(Child, "start", lambda child: None)
    options = (*SMALL, *EVALUATED, "--from-demos", demos, "--agent.actor-starts-after", 100_000)
    main(["train", *map(str, options), "--out", str(out), "--steps", "300"])
    assert has_clone(out / CLONE)
    process = start("train", "--out", out, "--resume", log=log)
    try:
        assert process.wait(240) == 0, log.read_text()
    finally:
        end(process)
    assert "cloning" not in log.read_text()
    config = load_config(out / CONFIG)
    assert (config.from_demos, config.replay.demos, config.base) == ((demos,), (demos,), None)
    base = CheckpointBase(StoredPolicy.find(out / CLONE), make_env(ENV), EnvAdapterConfig())
    alone = evaluate(base.act, make_env(ENV), 4, EVALUATION_SEED)
    found = evaluations(out)
    assert len(found) >= 2
    for line in found:
        assert line["evaluation/return_mean"] == pytest.approx(alone["return_mean"], abs=1e-6)
        assert line["evaluation/success_rate"] == alone["success_rate"]
    assert last_state(out)["updates"] == 50
