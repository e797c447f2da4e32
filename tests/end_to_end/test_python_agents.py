"""Agents of a script and the commands take up each other's runs, as real processes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rl import SAC
from rl.utils.checkpoint import Checkpoints
from rl.utils.run_directory import CHECKPOINTS
from tests.end_to_end.runs import end, start
from tests.rl.training.small_agents import small_sac


def test_a_run_goes_from_a_script_to_the_commands_and_back(tmp_path: Path):
    out = tmp_path / "run"
    small_sac().train(60).save(out)
    log = tmp_path / "train.log"
    # The learner computes with one thread, beside an actor; nothing is evaluated on the way.
    process = start("train", "--out", out, "--resume", "--steps", 120, "--max-lead", 8,
                    "--evaluation.every-steps", 0, "--learner-threads", 1, log=log)  # fmt: skip
    try:
        assert process.wait(240) == 0, log.read_text()
    finally:
        end(process)
    assert Checkpoints(out / CHECKPOINTS).steps() == [10, 25]
    with SAC.load(out, out=out) as agent:
        assert (agent.env_steps, agent.updates) == (120, 25)
        before = agent.predict(np.array([0.5, 1.0], np.float32))
        agent.train(8)
        assert (agent.env_steps, agent.updates) == (128, 27)
        assert not np.array_equal(agent.predict(np.array([0.5, 1.0], np.float32)), before)
