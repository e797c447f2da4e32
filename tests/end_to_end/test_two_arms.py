"""HIL-SERL's agent for two arms learns in an environment of two arms: what it sees, does and pays for is both arms'."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from rl.data.journal import TransitionJournal
from rl.utils.run_directory import JOURNAL

from .runs import end, last_state, start

RANDOM, STEPS = 20, 60
SMALL = (
    *("--agent", "hybrid-dual", "--env", "envs:DualFrankaReachPoseVision-v0", "--images.size", "32"),
    *("--agent.encoder.encoder-type", "compact", "--agent.encoder.bottleneck-dim", "8"),
    *("--agent.hidden-dims", "16", "--no-compile", "--learner-threads", "1", "--batch-size", "8"),
    *("--utd-ratio", "2", "--random-steps", RANDOM, "--training-starts", RANDOM, "--env-steps-per-update", "4"),
    *("--max-lead", "20", "--log-every", "1", "--checkpoint-every", "0", "--evaluation.every-steps", "0"),
)


def test_the_hybrid_agent_moves_and_pays_for_both_arms(tmp_path: Path):
    out, log = tmp_path / "run", tmp_path / "train.log"
    process = start("train", *SMALL, "--steps", STEPS, "--out", out, log=log)
    try:
        assert process.wait(150) == 0, log.read_text()
    finally:
        end(process)
    with TransitionJournal(out / JOURNAL, read_only=True) as journal:
        blocks = [block.transitions for block in journal.blocks()]
    cameras = {f"{arm}/{name}" for arm in ("left", "right") for name in ("front", "wrist")}
    assert set(blocks[0]["observations"]) == {"state", *cameras}
    assert blocks[0]["observations"]["state"].shape[1:] == (1, 2 * 20)
    actions = np.concatenate([block["actions"] for block in blocks])
    assert actions.shape == (STEPS, 14)
    fingers = actions[RANDOM:, [6, 13]]
    assert np.isin(fingers, (-1.0, 0.0, 1.0)).all(), "each arm's grippers are chosen, not drawn"
    assert not np.isin(np.delete(actions[RANDOM:], [6, 13], axis=1), (-1.0, 0.0, 1.0)).all(axis=0).any()
    changes = np.concatenate([block["grasp_penalty"] for block in blocks]) / -0.02
    assert np.allclose(changes, changes.round(), atol=1e-5)
    assert changes.sum() > 0.0
    assert changes.max() <= 2.0 + 1e-5, "one change for each arm at the most"
    logged = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert last_state(out)["updates"] == (STEPS - RANDOM) // 4
    assert all(np.isfinite(line["grasp_critic/grasp_critic_loss"]) for line in logged if "updates" in line)
