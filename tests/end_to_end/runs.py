"""Starting `python -m rl` as real processes, and reading what a run left behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from rl.data.journal import TransitionJournal
from rl.utils.checkpoint import Checkpoints
from rl.utils.run_directory import CHECKPOINTS, JOURNAL

ROOT = Path(__file__).parents[2]
ENV = "tests.support.tiny_env:FollowTarget-v0"

SMALL = (
    *("--env", ENV, "--no-compile", "--learner-threads", "1", "--batch-size", "32", "--utd-ratio", "2"),
    *("--agent.critic-ensemble-size", "2", "--agent.hidden-dims", "32", "32", "--log-every", "10"),
    *("--agent.actor-optimizer.warmup-steps", "0", "--agent.critic-optimizer.warmup-steps", "0"),
    *("--agent.actor-optimizer.learning-rate", "3e-3", "--agent.critic-optimizer.learning-rate", "3e-3"),
    *("--random-steps", "100", "--training-starts", "100", "--env-steps-per-update", "4", "--max-lead", "40"),
)
"""A run that takes seconds."""


def start(*arguments: str | Path | int, log: Path | None = None) -> subprocess.Popen[bytes]:
    """Start `python -m rl …` with the repository importable."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    output = log.open("ab") if log else subprocess.DEVNULL
    try:
        return subprocess.Popen(
            [sys.executable, "-m", "rl", *map(str, arguments)],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    finally:
        if log:
            output.close()


def end(*processes: subprocess.Popen[bytes]) -> None:
    """Make sure that nothing is left."""
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def status(port: int) -> dict[str, Any] | None:
    """The learner's status, None while it does not answer."""
    try:
        return httpx.get(f"http://127.0.0.1:{port}/v1/status", timeout=2.0, trust_env=False).json()
    except httpx.HTTPError:
        return None


def wait_for_status(port: int, condition: Any, timeout_s: float = 60.0) -> dict[str, Any]:
    """Poll until the condition holds of a status."""
    deadline_s = time.monotonic() + timeout_s
    while time.monotonic() < deadline_s:
        found = status(port)
        if found is not None and condition(found):
            return found
        time.sleep(0.02)
    raise AssertionError(f"the learner did not get there in {timeout_s} s; last status: {status(port)}")


def last_state(out: Path) -> dict[str, Any]:
    return Checkpoints(out / CHECKPOINTS).load()[1]


def stored_by_actor(out: Path) -> dict[str, dict[str, np.ndarray]]:
    """The transitions of every actor's attempt, in order; its sequence numbers are checked on the way."""
    found: dict[str, list[dict[str, np.ndarray]]] = {}
    with TransitionJournal(out / JOURNAL, read_only=True) as journal:
        for block in journal.blocks():
            parts = found.setdefault(block.actor_id, [])
            assert block.first_sequence == sum(len(part["rewards"]) for part in parts), "a hole or a double"
            parts.append(block.transitions)
    return {
        actor: {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        for actor, parts in found.items()
    }


def assert_episodes_join(transitions: dict[str, np.ndarray]) -> None:
    """Every transition starts where the one before it ended, unless that one ended its episode."""
    goes_on = transitions["dones"][:-1] == 0
    np.testing.assert_array_equal(
        transitions["observations"][1:][goes_on], transitions["next_observations"][:-1][goes_on]
    )


def assert_continuous(transitions: dict[str, np.ndarray]) -> None:
    """The same, and an episode of `FollowTarget` begins at its step 0."""
    assert_episodes_join(transitions)
    ended = transitions["dones"][:-1] > 0
    np.testing.assert_array_equal(transitions["observations"][1:, 1][ended], 0.0)
