"""`robotkit-train train` learns a little, stops when it is asked to, and goes on with the same counters."""

from __future__ import annotations

import re
import signal
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from rl.cli import main
from rl.data.demos import record_demos
from rl.training.learned import Learned
from rl.utils.metrics_file import read_metrics
from rl.utils.run_directory import LOGS, METRICS
from rl.wrappers.make_env import make_env

from .runs import ENV, SMALL, end, free_port, last_state, start, stored_by_actor, wait_for_status

EVALUATED = ("--evaluation.every-steps", "300", "--evaluation.episodes", "3")
IN_ACTOR = ("--evaluation.where", "actor")
"""After so many of its steps, exactly: an evaluator of its own may come when a few steps are over."""


def evaluations(out: Path) -> list[float]:
    lines = read_metrics(out / METRICS)
    return [line["evaluation/return_mean"] for line in lines if "evaluation/return_mean" in line]


def test_it_learns_stops_and_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out, log, port = tmp_path / "run", tmp_path / "train.log", free_port()
    arguments = ("train", *SMALL, *EVALUATED, "--out", out, "--link.port", port)
    process = start(*arguments, "--steps", 100_000, log=log)
    try:
        wait_for_status(port, lambda found: found["progress"]["updates"] >= 100 and evaluations(out), 90.0)
        process.send_signal(signal.SIGINT)
        assert process.wait(90) == 0, log.read_text()
        stopped = last_state(out)
        assert stopped["updates"] >= 100
        steps = 100 + 4 * (stopped["updates"] + 150)
        process = start("train", "--out", out, "--resume", "--steps", steps, log=log)
        assert process.wait(120) == 0, log.read_text()
    finally:
        end(process)
    finished = last_state(out)
    assert finished["updates"] == stopped["updates"] + 150
    assert finished["env_steps"] == steps == sum(len(found["rewards"]) for found in stored_by_actor(out).values())
    assert evaluations(out)
    main(["evaluate", "--out", str(out), "--episodes", "5"])
    shown = capsys.readouterr().out
    assert f"checkpoint after {finished['updates']} updates, 5 episodes" in shown
    assert "95 % between" in shown
    mean = re.search(r"return +([0-9.]+)", shown)
    assert mean, shown
    assert float(mean[1]) > 7.5, "it has not learned: before the first update it gets 5.4, and 6 for doing nothing"


def test_a_run_with_a_proposal_has_the_success_of_its_clone_from_the_first_step_on(tmp_path: Path):
    out, log, demos = tmp_path / "run", tmp_path / "train.log", tmp_path / "demos.sqlite"
    with closing(make_env(ENV)) as env:
        record_demos(demos, env, lambda observation: observation[:1], 20, seed=1)
    proposal = (
        *("--agent.proposal.acts", "--agent.proposal.bootstraps", "--agent.proposal.trusts-critics-after", 10_000),
        *("--agent.proposal.cloning-updates", 800, "--agent.proposal.hidden-dims", 32),
    )
    arguments = ("train", *SMALL, *proposal, *EVALUATED, *IN_ACTOR, "--replay.demos", demos)
    arguments += ("--random-steps", 0, "--out", out)
    process = start(*arguments, "--steps", 400, log=log)
    try:
        assert process.wait(120) == 0, log.read_text()
        process = start("train", "--out", out, "--resume", "--steps", 600, log=log)
        assert process.wait(120) == 0, log.read_text()
    finally:
        end(process)
    assert last_state(out)["updates"] == 125
    told = (out / LOGS / "learner.log").read_text()
    assert told.count("cloning 200 demonstrated steps") == 1, "a run that goes on keeps its clone"
    found = evaluations(out)
    assert len(found) >= 3
    assert min(found) > 8.5, "the policy that is trained has 5.4 before the first update"
    taken = np.concatenate([one["actions"] for one in stored_by_actor(out).values()])
    seen = np.concatenate([one["observations"] for one in stored_by_actor(out).values()])
    assert len(taken) == 600
    assert np.abs(taken[:, 0] - seen[:, 0]).mean() < 0.15, "the clone acts, without noise, in the actor too"


def test_a_learner_without_actors_says_what_it_waits_for(tmp_path: Path):
    out, port = tmp_path / "run", free_port()
    process = start("learner", *SMALL, "--out", out, "--link.port", port)
    try:
        found = wait_for_status(port, lambda found: True)
        assert found["progress"]["waiting_for"] == "the first actor"
        process.terminate()
        assert process.wait(30) == 0
    finally:
        end(process)


def test_it_ends_when_it_has_learned_and_says_so(tmp_path: Path):
    out, log = tmp_path / "run", tmp_path / "train.log"
    # An episode succeeds where the last error is small enough, which an untrained policy manages now and then.
    goal = ("--evaluation.stop-at-success", 0.01, "--evaluation.every-steps", 100, "--evaluation.episodes", 20)
    process = start("train", *SMALL, *goal, "--out", out, "--steps", 100_000, log=log)
    try:
        assert process.wait(120) == 0, log.read_text()
    finally:
        end(process)
    learned = Learned.load(out)
    assert learned is not None
    assert learned.env_steps < last_state(out)["env_steps"] < 100_000
    told = log.read_text()
    assert learned.sentence() in told
    assert f"--out {out} --resume --evaluation.stop-at-success None" in told
    refused = start("train", "--out", out, "--resume", "--evaluation.stop-at-success", "None", "--steps", 1, log=log)
    assert refused.wait(60) == 2
    assert "training would never start" in log.read_text(), "the words that it tells are understood"
