"""A websocket whose serving is cancelled, as by a layer around the application, leaves no arm that goes on."""

from __future__ import annotations

import asyncio
import json
from typing import Any, cast

import pytest
from anyio import CancelScope
from starlette.websockets import WebSocket

import robotkit as rk
from servers import ServerSettings
from servers.access import Client
from servers.context import ServerContext
from servers.streaming import StateStream, StepChannel

A = Client("key a", "anna")


class Socket:
    """Gives one command, then nothing more; cancels its serving with the first state in which the arm tracks."""

    def __init__(self, command: dict[str, Any], serving: CancelScope) -> None:
        self.headers: dict[str, str] = {}
        self.scope: dict[str, Any] = {}
        self.modes: list[str] = []
        self._command, self._serving = [{"type": "websocket.receive", "text": json.dumps(command)}], serving

    async def receive(self) -> dict[str, Any]:
        return self._command.pop() if self._command else await asyncio.get_running_loop().create_future()

    async def send_text(self, text: str) -> None:
        self.modes.append(json.loads(text)["state"]["robot"]["mode"])
        if self.modes[-1] == "tracking":
            self._serving.cancel()


@pytest.mark.parametrize("kind", [StateStream, StepChannel])
def test_b10_an_arm_holds_when_the_serving_of_its_clients_websocket_is_cancelled(
    kind: type[StateStream] | type[StepChannel],
) -> None:
    async def serve(cell: rk.Workcell) -> Socket:
        context = ServerContext(cell, ServerSettings(lease_timeout_s=60.0))
        with CancelScope() as serving:
            pose = cell.robot.get_state().tcp_pose_in_base.copy()
            pose[2] -= 0.01
            command = rk.PoseCommand(tcp_pose_in_base=pose).model_dump(mode="json")
            message = {"command": command, **({"type": "command"} if kind is StateStream else {"seq": 1})}
            socket = Socket(message, serving)
            served = cast(WebSocket, socket)
            channel = StateStream(served, context, A, 100.0, 0) if kind is StateStream else kind(served, context, A)
            await channel.run()
        assert serving.cancelled_caught
        assert context.lease.holder is None
        return socket

    with rk.make_workcell("fake", world=None, trackers={}, clock="real", limits={"watchdog_s": 5.0}) as cell:
        modes = asyncio.run(serve(cell)).modes
        assert modes[-1] == "tracking"
        assert cell.robot.machine.mode == "holding"
