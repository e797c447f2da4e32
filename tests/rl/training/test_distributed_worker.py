"""Several processes of a learner are one process with the joint batch: every kind of agent, noise included."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.utils._pytree import tree_leaves

from rl.utils.distributed import ProcessGroup
from tests.rl.training import distributed_worker_script
from tests.rl.training.test_exact_resume import assert_same

ROOT = Path(__file__).parents[3]
LAUNCHER = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Directories of the same work, done by one process and by two."""
    alone, two = (tmp_path_factory.mktemp(name) for name in ("alone", "two"))
    threads = torch.get_num_threads()
    distributed_worker_script.main(alone)
    torch.set_num_threads(threads)
    subprocess.run(
        [sys.executable, *LAUNCHER, "-m", "tests.rl.training.distributed_worker_script", str(two)],
        check=True,
        cwd=ROOT,
        timeout=250,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )
    return alone, two


@pytest.mark.parametrize("name", distributed_worker_script.CASES)
def test_two_processes_stay_equal_and_learn_what_one_would_from_the_joint_batch(results: tuple[Path, Path], name: str):
    alone, two = results
    first, second = (torch.load(two / f"{name}-{rank}.pt", weights_only=True) for rank in range(2))
    one = torch.load(alone / f"{name}-0.pt", weights_only=True)
    for state in (first["state"], second["state"], one["state"]):
        del state["policy_generator"]  # of exploration, which is the first process's alone
    assert_same(first["state"], second["state"], name)
    assert_same(one["state"], first["state"], name, tolerance=1e-4)
    assert_same(one["metrics"], first["metrics"], name, tolerance=1e-4)


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_whoever_joins_takes_everything_over_that_a_resume_would(monkeypatch: pytest.MonkeyPatch, precision: str):
    given: list[torch.Tensor] = []
    monkeypatch.setattr(ProcessGroup, "broadcast", lambda group, tensors: given.extend(tensors))
    agent = distributed_worker_script.state_agent(0, precision=precision)
    agent.join(ProcessGroup(0, 2))
    state = agent.state_dict()
    del state["policy_generator"]
    assert torch.equal(state.pop("update_generator"), given.pop())
    places = {tensor.data_ptr() for tensor in given}
    assert {tensor.data_ptr() for tensor in tree_leaves(state)} <= places
