"""`torchrun -m rl learner` on two processes: it trains and ends, it resumes, and it never waits for the dead."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from rl.errors import ConfigError
from rl.utils.distributed import joined_process_group
from rl.utils.subprocesses import USER_ERROR
from tests.end_to_end.runs import ROOT, SMALL, end, free_port, last_state, start, stored_by_actor, wait_for_status
from tests.rl.training.test_distributed_worker import LAUNCHER
from tests.rl.training.test_exact_resume import assert_same

ENVIRONMENT = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a run of 180 steps by two processes under torchrun, which an actor on its own fed."""
    out, port = tmp_path_factory.mktemp("distributed") / "run", free_port()
    log = out.with_name("log")
    options = (*SMALL, "--steps", "180", "--link.port", str(port))
    learner = logged(log, *LAUNCHER, "-m", "rl", "learner", *options, "--out", out)
    actor = start("actor", *options)
    try:
        assert learner.wait(240) == 0, log.read_text()
        assert actor.wait(120) == 0
    finally:
        end(learner, actor)
    return out


def logged(log: Path, *arguments: object, **environment: str) -> subprocess.Popen[bytes]:
    """Start Python with these arguments; what it says goes into a file."""
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            env={**os.environ, **ENVIRONMENT, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def log_of(out: Path, rank: int) -> Path:
    return out.with_name(f"rank-{rank}.log")


@contextmanager
def two_learners(out: Path, *options: object) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Two processes that go on with a run, with nobody who would end one when the other has ended."""
    port = free_port()
    group = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    command = ("-m", "rl", "learner", "--out", out, "--resume", *options)
    learners = [logged(log_of(out, rank), *command, **group, RANK=str(rank), LOCAL_RANK=str(rank)) for rank in range(2)]
    try:
        yield learners
    finally:
        end(*learners)


def copied(run: Path, to: Path) -> Path:
    return Path(shutil.copytree(run, to))


def test_two_processes_train_with_an_actor_and_end(run: Path):
    state = last_state(run)
    assert (state["updates"], state["env_steps"]) == (20, 180)
    assert sum(len(found["rewards"]) for found in stored_by_actor(run).values()) == 180


def test_one_process_or_two_go_on_with_a_run_alike(run: Path, tmp_path: Path):
    """Twice as many updates for the steps that are there, so that no actor is needed."""
    more = ("--env-steps-per-update", 2, "--link.port", 0)
    alone, two = copied(run, tmp_path / "alone"), copied(run, tmp_path / "two")
    one = start("learner", "--out", alone, "--resume", *more)
    try:
        with two_learners(two, *more) as learners:
            statuses = [learner.wait(240) for learner in learners]
        assert statuses == [0, 0], [log_of(two, rank).read_text() for rank in range(2)]
        one.wait(240)
    finally:
        end(one)
    assert one.returncode == 0
    states = [last_state(out) for out in (alone, two)]
    assert states[0]["updates"] == states[1]["updates"] == 40
    assert_same(states[0]["agent"], states[1]["agent"], "agent", tolerance=1e-3)
    assert_same(states[0]["batches"], states[1]["batches"], "batches")


@pytest.mark.parametrize("rank", [0, 1])
def test_a_process_that_dies_ends_the_other_one_with_a_sentence(run: Path, tmp_path: Path, rank: int):
    out, port = copied(run, tmp_path / "run"), free_port()
    with two_learners(out, "--env-steps-per-update", 0.001, "--link.port", port) as learners:
        wait_for_status(port, lambda found: found["progress"]["updates"] > 22, 240.0)
        learners[rank].send_signal(signal.SIGKILL)
        status, said = learners[1 - rank].wait(120), log_of(out, 1 - rank).read_text()
    assert status == USER_ERROR, said
    assert f"error: process {1 - rank} of 2 cannot go on, because another one ended" in said
    assert last_state(out)["updates"] == 20


@pytest.mark.parametrize(
    ("device", "gpus", "answer"),
    [
        ("cuda:1", 2, "with --device cuda each takes its own"),
        ("cuda:0", 0, "has no GPU of its own: there are 0"),
        ("mps", 0, "not on mps"),
    ],
)
def test_a_device_that_processes_cannot_share_is_refused(monkeypatch, device: str, gpus: int, answer: str):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "0")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    with pytest.raises(ConfigError, match=answer), joined_process_group(torch.device(device)):
        pass
