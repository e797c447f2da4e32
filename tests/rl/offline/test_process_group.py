"""Two processes on halves of a batch are one process on the whole of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from rl.data.demos import record_demos
from rl.errors import ConfigError
from rl.utils.checkpoint import Checkpoints
from rl.utils.distributed import SINGLE_PROCESS, ProcessGroup, local_device
from rl.wrappers.make_env import make_env
from tests.rl.offline import process_group_script

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Directories of the same work, done by one process and by two."""
    folder = tmp_path_factory.mktemp("process-group")
    env = make_env(process_group_script.ENV)
    record_demos(folder / "demos", env, lambda observation: observation[:1], episodes=10, seed=3)
    env.close()
    alone, two = folder / "alone", folder / "two"
    alone.mkdir()
    two.mkdir()
    process_group_script.main(folder / "demos", alone)
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    subprocess.run(
        [sys.executable, *launcher, "-m", "tests.rl.offline.process_group_script", str(folder / "demos"), str(two)],
        check=True,
        cwd=ROOT,
        timeout=250,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )
    return alone, two


def assert_close(one, other, **tolerance):
    assert one.keys() == other.keys()
    for name, value in one.items():
        torch.testing.assert_close(value, other[name], **tolerance)


def test_learners_of_a_process_group_stay_equal_and_learn_what_one_would_from_the_joint_batch(results):
    alone, two = results
    ranks = [torch.load(two / f"sac-{rank}.pt", weights_only=True) for rank in range(2)]
    assert_close(ranks[0], ranks[1], rtol=0, atol=0)
    assert_close(ranks[0], torch.load(alone / "sac-0.pt", weights_only=True), rtol=1e-4, atol=1e-5)


def test_a_process_group_clones_as_one_process_does(results):
    states = [Checkpoints(folder / "bc" / "checkpoints").load()[1]["agent"] for folder in results]
    assert_close(states[0]["modules"], states[1]["modules"], rtol=1e-4, atol=1e-5)
    assert states[0]["optimizer"]["count"] == states[1]["optimizer"]["count"] == 4 * 4


def test_only_the_main_process_writes(results):
    lines = [len((folder / "bc" / "metrics.jsonl").read_text().splitlines()) for folder in results]
    assert lines == [4, 4]


def test_a_group_of_one_process_changes_nothing():
    tensors = [torch.arange(3.0), torch.ones(2, 2)]
    assert all(one is other for one, other in zip(SINGLE_PROCESS.average(tensors), tensors, strict=True))
    assert SINGLE_PROCESS.shard_size(7) == 7
    assert SINGLE_PROCESS.is_main
    assert not ProcessGroup(1, 2).is_main
    with pytest.raises(ConfigError, match="does not divide among 2"):
        ProcessGroup(1, 2).shard_size(7)


def test_under_torchrun_each_process_has_a_gpu_of_its_own(monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert local_device("cuda") == torch.device("cuda", 3)
    assert local_device("cuda:1") == torch.device("cuda", 1)
    assert local_device("cpu") == torch.device("cpu")
