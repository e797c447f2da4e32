"""The link between actor and learner on loopback: transitions, weights, and what an action costs."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rl.agents.continuous.proposal import make_policy
from rl.agents.continuous.sac_config import SacConfig
from rl.data.journal import TransitionJournal
from rl.link.client import LearnerLink
from rl.link.frames import Weights
from rl.link.hub import LearnerHub
from rl.link.messages import AgentSpec, BoxSpec, Handshake
from rl.link.server import LinkServer
from rl.link.state import ClientSettings

OBSERVATION, ACTION = 10, 4
SPEC = AgentSpec(
    env="benchmark",
    observation=BoxSpec(shape=(OBSERVATION,), dtype="float32", low="-inf", high="inf"),
    action=BoxSpec(shape=(ACTION,), dtype="float32", low=-1.0, high=1.0),
)


def run(quick: bool) -> list[dict[str, Any]]:
    """Measure; agentlace, which carried SERL's data, is quoted from the same kind of machine."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder, TransitionJournal(Path(folder) / "journal.sqlite") as journal:
        hub = LearnerHub(journal, SPEC.env)
        hub.grant(10**9)
        with LinkServer(hub, "127.0.0.1", 0) as server:
            url = f"ws://127.0.0.1:{server.port}/v1/link"
            quoted = {1: "2 061", 30: "5 222", 300: "5 568"}
            rows = [_transitions(url, chunk, 3_000 if quick else 15_000, quoted[chunk]) for chunk in quoted]
            rows += [_round_trip(url, 50 if quick else 300), _publication(url, hub, 10 if quick else 50)]
    return [*rows, _act(200 if quick else 2000)]


def _transitions(url: str, chunk: int, count: int, quoted: str) -> dict[str, Any]:
    transition = _transition()
    with LearnerLink(ClientSettings(url, max_chunk=chunk), _handshake(f"chunk-{chunk}")) as link:
        start_s = time.perf_counter()
        for _ in range(count):
            link.send(transition)
        link.flush(120.0)
        rate = count / (time.perf_counter() - start_s)
    note = f"stored on disk and acknowledged; agentlace, in memory: {quoted}"
    return _row(f"state transitions, chunks of {chunk}", rate, "1/s", note)


def _round_trip(url: str, count: int) -> dict[str, Any]:
    transition = _transition()
    with LearnerLink(ClientSettings(url, linger_s=0.0), _handshake("round-trip")) as link:

        def send_one() -> None:
            link.send(transition)
            link.flush(10.0)

        return _row("one transition until acknowledged", _median_ms(send_one, count), "ms", "fsync included")


def _publication(url: str, hub: LearnerHub, count: int) -> dict[str, Any]:
    policy = {f"layer_{n}": np.random.default_rng(n).normal(size=(250, 1000)).astype(np.float32) for n in range(3)}
    version = 0
    with LearnerLink(ClientSettings(url), _handshake("weights")) as link:

        def publish() -> None:
            nonlocal version
            version += 1
            hub.publish(Weights(version, policy))
            link.wait_for_weights(10.0)

        return _row("weights of 3 MB until received", _median_ms(publish, count), "ms", "agentlace: 11.6")


def _act(count: int) -> dict[str, Any]:
    policy = make_policy(OBSERVATION, ACTION, SacConfig())
    observation = np.zeros(OBSERVATION, np.float32)
    return _row(
        "act", _median_ms(lambda: policy.sample_actions(observation), count), "ms", "256-256 policy, one thread"
    )


def _median_ms(work: Callable[[], object], count: int) -> float:
    times_s = []
    for _ in range(count):
        start_s = time.perf_counter()
        work()
        times_s.append(time.perf_counter() - start_s)
    return 1000 * statistics.median(times_s)


def _handshake(attempt: str) -> Handshake:
    return Handshake(actor="benchmark", attempt=attempt, spec=SPEC)


def _transition() -> dict[str, np.ndarray | np.float32]:
    return {
        "observations": np.zeros(OBSERVATION, np.float32),
        "next_observations": np.zeros(OBSERVATION, np.float32),
        "actions": np.zeros(ACTION, np.float32),
        "rewards": np.float32(0.0),
        "masks": np.float32(1.0),
        "dones": np.float32(0.0),
    }


def _row(name: str, value: float, unit: str, note: str) -> dict[str, Any]:
    return {"name": name, "value": value, "unit": unit, "note": note}
