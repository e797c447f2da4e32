"""R5: a peer whose process stands still does not stay connected, and nothing waits for it without end."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from websockets.sync.client import connect

from rl.link.actor_connection import ActorConnection
from rl.link.frames import Weights
from rl.link.hub import LearnerHub
from rl.link.messages import Heartbeat
from rl.link.server import LinkServer
from tests.support.waiting import wait_until

from .conftest import handshake
from .test_exactly_once import shake_hands


def is_connected(hub: LearnerHub) -> bool:
    return bool(hub.status()["actors"].get("arm", {}).get("is_connected"))


def test_r5_a_silent_peer_is_gone(server: LinkServer, hub: LearnerHub, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("rl.link.actor_connection._SILENCE_TIMEOUT_S", 0.2)
    with connect(f"ws://127.0.0.1:{server.port}/v1/link", proxy=None) as raw:
        shake_hands(raw)
        wait_until(lambda: not is_connected(hub), 20.0)


class Frozen:
    """A websocket whose peer goes on sending, and takes nothing beyond the handshake."""

    def __init__(self, taken: int) -> None:
        self._room = taken

    async def receive_text(self) -> str:
        return handshake().model_dump_json()

    async def receive(self) -> dict[str, Any]:
        await asyncio.sleep(0)
        beat = Heartbeat(weights_version=0, backlog=0, dropped=0).model_dump_json()
        return {"type": "websocket.receive", "text": beat}

    async def send_text(self, text: str) -> None:
        await self._take()

    async def send_bytes(self, data: bytes) -> None:
        await self._take()

    async def close(self, code: int) -> None: ...

    async def _take(self) -> None:
        self._room -= 1
        if self._room < 0:
            await asyncio.Event().wait()


@pytest.mark.parametrize("taken", [0, 1, 2])
def test_r5_a_peer_that_takes_nothing_is_given_up(
    hub: LearnerHub, monkeypatch: pytest.MonkeyPatch, taken: int, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr("rl.link.actor_connection._SEND_TIMEOUT_S", 0.05)
    hub.publish(Weights(1, {"head": np.zeros(3, np.float32)}))

    async def serve() -> None:
        with ThreadPoolExecutor(1) as disk:
            await asyncio.wait_for(ActorConnection(Frozen(taken), hub, disk).serve(), 20.0)

    asyncio.run(serve())
    assert not is_connected(hub)
    assert "neither sends nor takes" in caplog.text


class Patient(Frozen):
    """A websocket whose message arrives while the learner's process stands still."""

    def __init__(self) -> None:
        super().__init__(taken=2)
        self.receptions = 0

    async def receive(self) -> dict[str, Any]:
        self.receptions += 1
        if self.receptions == 1:
            time.sleep(0.2)
            for _ in range(5):  # the loop's clock is looked at before the socket is
                await asyncio.sleep(0)
        if self.receptions <= 2:
            return await super().receive()
        return {"type": "websocket.disconnect", "code": 1000}


def test_r5_a_peer_is_not_given_up_because_the_learner_stood_still(
    hub: LearnerHub, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr("rl.link.actor_connection._SILENCE_TIMEOUT_S", 0.2)
    peer = Patient()

    async def serve() -> None:
        with ThreadPoolExecutor(1) as disk:
            await asyncio.wait_for(ActorConnection(peer, hub, disk).serve(), 20.0)

    asyncio.run(serve())
    assert peer.receptions == 3, "it was heard after all, and left by itself"
    assert "neither sends nor takes" not in caplog.text
