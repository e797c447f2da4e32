"""The examples for people who come from SERL run: record, learn, measure, in processes of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from examples.async_bin_relocation_fwbw_drq import async_drq_randomized as two_ways
from examples.async_peg_insert_drq.async_drq_randomized import Flags as PegFlags
from examples.bc_policy import bc_policy
from examples.serl import flags as serl_flags
from examples.serl.scripts import SCRIPTS
from rl.data.demos import summarize_demos
from tests.end_to_end.runs import end, free_port, last_state

from .scripts import SEES_32, SMALL_NETS, finish, start, stored

STEPS = 40


@pytest.fixture(scope="module")
def peg_demos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recorded("async_peg_insert_drq/record_demo.sh", tmp_path_factory.mktemp("demos"), "--episodes", 2)


def recorded(script: str, folder: Path, *arguments: str | int, out: str = "--out") -> Path:
    file, log = folder / f"{Path(script).stem}.sqlite", folder / "record.log"
    finish(start(script, *SEES_32, out, file, *arguments, log=log), log)
    return file


def learn(example: str, folder: Path, demos: Path) -> Path:
    """Learner and actor of an example, as short as can be; their run."""
    out, port = folder / "run", free_port()
    common = (*SMALL_NETS, "--max_steps", STEPS, "--eval_period", 0, "--link.port", port)
    logs = folder / "learner.log", folder / "actor.log"
    learner = start(
        f"{example}/run_learner.sh", *common, "--checkpoint_path", out, "--demo_path", demos, "--checkpoint_period", 5,
        log=logs[0],
    )  # fmt: skip
    actor = start(f"{example}/run_actor.sh", *common, log=logs[1])
    try:
        finish(learner, logs[0])
        finish(actor, logs[1])
    finally:
        end(learner, actor)
    assert last_state(out)["updates"] == (STEPS - 20) // 4
    assert len(stored(out, "rewards")) == STEPS
    return out


def test_peg_insertion_is_recorded_learned_and_measured(
    tmp_path: Path, peg_demos: Path, capsys: pytest.CaptureFixture[str]
):
    assert summarize_demos(peg_demos).successes == 2
    out = learn("async_peg_insert_drq", tmp_path, peg_demos)
    measured = ("--checkpoint_path", str(out), "--eval_checkpoint_step", "5", "--eval_n_trajs", "1")
    serl_flags.run(PegFlags, ["--actor", *measured])
    assert "after 5 updates, 1 episodes" in capsys.readouterr().out


def test_demonstrations_are_cloned_and_the_clone_is_measured(
    tmp_path: Path, peg_demos: Path, capsys: pytest.CaptureFixture[str]
):
    given = (*SCRIPTS["bc_policy/run_bc.sh"].words, "--checkpoint_path", str(tmp_path / "bc"))
    nets = ("--bc.encoder.bottleneck-dim", "8", "--bc.hidden-dims", "16", "--held-out", "0", *SEES_32)
    bc_policy.main([*given, "--demo_paths", str(peg_demos), "--epochs", "3", *nets])
    bc_policy.main([*given, "--eval_checkpoint_step", "3", "--eval_n_trajs", "1"])
    assert "after 3 updates, 1 episodes" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("example", ["async_drq_sim", "async_pcb_insert_drq", "async_cable_route_drq"])
def test_the_other_tasks_run_alike(example: str, tmp_path: Path):
    demos = recorded(f"{example}/record_demo.sh", tmp_path, "--episodes", 1)
    learn(example, tmp_path, demos)


def test_two_learners_share_one_actor_that_carries_the_object_there_and_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """Only after a success of the forward task does the backward learner get its steps."""
    example, ports = "async_bin_relocation_fwbw_drq", (free_port(), free_port())
    common = (*SMALL_NETS, "--max_steps", STEPS, "--fw_port", ports[0], "--bw_port", ports[1])
    logs = {name: tmp_path / f"{name}.log" for name in ("fw", "bw", "actor")}
    outs = {way: tmp_path / way for way in ("fw", "bw")}
    processes = []
    try:
        demos = recorded(f"{example}/record_fw_demo.sh", tmp_path, "--successes_needed", 1, out="--demo_path")
        for way, out in outs.items():
            arguments = (*common, "--checkpoint_path", out, "--demo_path", demos, "--checkpoint_period", 5)
            processes.append(start(f"{example}/run_{way}_learner.sh", *arguments, log=logs[way]))
        actor = start(f"{example}/run_actor.sh", *common, "--human", "expert", log=logs["actor"])
        processes.append(actor)
        for process, name in zip(processes, ("fw", "bw", "actor"), strict=True):
            finish(process, logs[name])
    finally:
        end(*processes)
    for out in outs.values():
        assert stored(out, "is_intervention").tolist() == [1.0] * STEPS
        assert last_state(out)["updates"] == (STEPS - 20) // 4
    two_ways.main([
        *("--actor", "--eval_checkpoint_step", "5", "--eval_n_trajs", "1", *SMALL_NETS),
        *("--fw_ckpt_path", str(outs["fw"]), "--bw_ckpt_path", str(outs["bw"])),
    ])  # fmt: skip
    words = capsys.readouterr().out
    assert "forward   0 of 2" in words  # without a success it stays the forward policy's turn
    assert "backward  0 of 0" in words
