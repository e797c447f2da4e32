"""A link over a real socket, and transitions that can be recognised."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import numpy as np
import pytest

from rl.data.journal import TransitionJournal
from rl.link.hub import LearnerHub
from rl.link.messages import AgentSpec, BoxSpec, Handshake
from rl.link.server import LinkServer
from rl.link.state import ClientSettings

SPEC = AgentSpec(
    env="Numbers-v0",
    observation=BoxSpec(shape=(3,), dtype="float32", low="-inf", high="inf"),
    action=BoxSpec(shape=(2,), dtype="float32", low=-1.0, high=1.0),
)


def transition(number: int) -> dict[str, np.ndarray]:
    """The transition with this number; its reward is the number."""
    return {
        "observations": np.full(3, number, np.float32),
        "next_observations": np.full(3, number + 1, np.float32),
        "actions": np.zeros(2, np.float32),
        "rewards": np.float32(number),
        "masks": np.float32(1.0),
        "dones": np.float32(0.0),
    }


def handshake(attempt: str = "first", actor: str = "arm", spec: AgentSpec = SPEC) -> Handshake:
    return Handshake(actor=actor, attempt=attempt, spec=spec)


def stored(journal: TransitionJournal, actor_id: str = "arm/first") -> list[int]:
    """The numbers in the journal, in its order."""
    blocks = [block.transitions["rewards"] for block in journal.blocks() if block.actor_id == actor_id]
    return np.concatenate(blocks).astype(int).tolist() if blocks else []


def settings(port: int, **fields: object) -> ClientSettings:
    return ClientSettings(f"ws://127.0.0.1:{port}/v1/link", **{"linger_s": 0.001, "heartbeat_s": 0.05, **fields})


@pytest.fixture
def hub(journal: TransitionJournal) -> LearnerHub:
    made = LearnerHub(journal, SPEC.env)
    made.grant(10**6)
    return made


@pytest.fixture
def server(hub: LearnerHub) -> Iterator[LinkServer]:
    with LinkServer(hub, "127.0.0.1", 0) as running:
        yield running


@pytest.fixture
def unused_port() -> int:
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]
