"""The example server of base policies as a real process: a training on it, its death, and its standing still."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from rl.data.demos import record_demos
from rl.errors import ConfigError, JournalError, PolicyUnavailable
from rl.link.policy_client import TOKEN_VARIABLE
from rl.offline.bc import train_bc
from rl.training.algorithms import SAC
from rl.wrappers.base_observation import base_action_in, executed_action
from rl.wrappers.make_env import make_env
from tests.rl.offline.test_train_bc import StopAfter, options
from tests.support.waiting import wait_until

from .runs import ENV, ROOT, SMALL, assert_episodes_join, end, free_port, start, stored_by_actor

QUICK = ("--residual.answer-timeout-s", "0.5", "--residual.start-timeout-s", "20")


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A behaviour cloning for `FollowTarget`."""
    folder = tmp_path_factory.mktemp("clone")
    record_demos(folder / "demos.sqlite", make_env(ENV), lambda observation: observation[:1], 12, seed=3)
    train_bc(options(folder / "demos.sqlite", folder / "bc", epochs=20), StopAfter(), Console(quiet=True))
    return folder / "bc"


@contextmanager
def server(policy: Path, port: int, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """`python -m examples.base_server`, ready to be asked."""
    command = [sys.executable, "-m", "examples.base_server", "--policy", str(policy), "--port", str(port)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **variables}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert f"ws://127.0.0.1:{port}" in process.stdout.readline()
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def corrected(port: int) -> SAC:
    return SAC(ENV, base=f"ws://127.0.0.1:{port}", seed=0)


def test_a_served_policy_acts_as_it_does_here_and_comes_back_after_it_was_killed(clone: Path):
    port, zero = free_port(), np.zeros(1, np.float32)
    here = SAC(ENV, base=clone, seed=0).env
    with server(clone, port) as process:
        there = corrected(port).env
        one, other = here.reset(seed=4)[0], there.reset(seed=4)[0]
        for _ in range(5):
            np.testing.assert_array_equal(one, other)
            one, other = here.step(zero)[0], there.step(zero)[0]
        process.kill()
        process.wait()
        with pytest.raises(PolicyUnavailable, match=r"is gone|no policy answers"):
            there.step(zero)
    with server(clone, port):
        np.testing.assert_array_equal(here.reset(seed=5)[0], there.reset(seed=5)[0])
        there.close()


def test_a_client_without_the_token_is_refused(clone: Path, monkeypatch: pytest.MonkeyPatch):
    port = free_port()
    with server(clone, port, **{TOKEN_VARIABLE: "secret"}):
        with pytest.raises(ConfigError, match=f"refuses the connection .401.: set {TOKEN_VARIABLE}"):
            corrected(port)
        monkeypatch.setenv(TOKEN_VARIABLE, "secret")
        corrected(port).close()


def test_a_training_survives_a_server_that_stands_still_and_stores_no_step_without_its_base(
    clone: Path, tmp_path: Path
):
    port, out, log = free_port(), tmp_path / "run", tmp_path / "train.log"
    arguments = (*SMALL, *QUICK, "--base", f"ws://127.0.0.1:{port}", "--evaluation.every-steps", 0)
    arguments += ("--residual.start-timeout-s", "5")
    with server(clone, port) as process:
        training = start("train", *arguments, "--out", out, "--steps", 1000, log=log)
        try:
            actor, taken = out / "logs" / "actor-0.log", 100
            while "did not answer within 0.5 s" not in told_by(actor):
                # In a step, and not between two episodes, where it is looked for again.
                wait_for(lambda: steps_of(out) > taken, training, log)  # noqa: B023
                taken, told = steps_of(out), told_by(actor)
                process.send_signal(signal.SIGSTOP)
                wait_for(lambda: told_by(actor) != told, training, log)  # noqa: B023
                process.send_signal(signal.SIGCONT)
            assert training.wait(240) == 0, log.read_text()
        finally:
            end(training)
    (rows,) = stored_by_actor(out).values()
    assert len(rows["rewards"]) == 1000
    rebuilt = executed_action(base_action_in(rows["observations"], 1), rows["actions"], (0.2,))
    np.testing.assert_allclose(rows["executed_actions"], rebuilt, atol=1e-6)
    is_same = (rows["observations"][1:] == rows["next_observations"][:-1]).all(-1)
    torn = ~is_same & (rows["dones"][:-1] == 0)
    assert torn.any(), "the step at which the server stood still is left out"
    np.testing.assert_array_equal(rows["observations"][1:][torn][:, 1], 0.0, "an episode begins after it")
    for first, last in itertools.pairwise((0, *(np.flatnonzero(torn) + 1), len(is_same) + 1)):
        assert_episodes_join({name: field[first:last] for name, field in rows.items()})


def told_by(log: Path) -> str:
    return log.read_text() if log.exists() else ""


def steps_of(out: Path) -> int:
    try:
        return sum(len(rows["rewards"]) for rows in stored_by_actor(out).values())
    except JournalError:
        return 0


def wait_for(condition: Callable[[], bool], training: subprocess.Popen[bytes], log: Path) -> None:
    def is_there() -> bool:
        assert training.poll() is None, log.read_text()
        return condition()

    wait_until(is_there, 120.0)
