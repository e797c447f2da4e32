"""A route that is called directly answers as the router does, to the byte, whatever is asked of it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest
from starlette.types import Receive, Scope, Send

import robotkit as rk
from servers import create_app
from servers.errors import nothing_here
from servers.routes import ROUTERS
from servers.routes.direct import DirectWay
from tests.servers.test_errors import BAD_STEPS, HOME

STEP = {"command": {"kind": "pose", "tcp_pose_in_base": HOME}, "gripper": {"position": 0.5}, "period_s": 0.02}
BODIES: dict[str, Any] = {
    "/v1/step": STEP,
    "/v1/reset": {"seed": 0},
    "/v1/clock/advance": {"period_s": 0.1},
    "/v1/robot/command": STEP["command"],
    "/v1/robot/joint_move": {"joint_positions_rad": [0.0] * 7},
    "/v1/gripper/move": {"position": 0.3},
    "/pose": {"arr": HOME},
}
HEADERS: tuple[dict[str, str], ...] = (
    {},
    {"X-Robotkit-Protocol": "0"},
    {"X-Robotkit-Deadline": "-1e25"},  # so long ago that every answer says the same time
    {"X-Robotkit-Clock": "another"},
    {"X-Robotkit-Seen": "9,9,9"},
    {"Authorization": "Bearer wrong", "X-Robotkit-Name": "%C3%A4"},
)
DIRECT = {path for _, path in DirectWay(nothing_here, ROUTERS).handlers}


def _requests() -> list[tuple[str, str, bytes | None, dict[str, str]]]:
    posts: list[tuple[str, str, bytes | None, dict[str, str]]] = []
    for path in sorted(DIRECT):
        body = json.dumps(BODIES[path]).encode() if path in BODIES else None
        posts += [("POST", path, body, headers) for headers in HEADERS]
        posts += [("POST", path, wrong, {}) for wrong in (None, b"", b"{", b"[1]", b"\xff", b"{}")]
        posts += [(method, path, None, {}) for method in ("GET", "HEAD", "PUT", "OPTIONS")]
        posts += [("POST", f"{path}/", body, {}), ("POST", f"{path}?a=b", body, {})]
    posts += [("POST", "/v1/step", json.dumps(body).encode(), {}) for body, *_ in BAD_STEPS.values()]
    posts += [("POST", "/v1/robot/stop", None, {})]
    posts += [("POST", path, json.dumps(body).encode(), {}) for path, body in BODIES.items()]
    return posts


async def _answers(cell: rk.Workcell) -> list[tuple[int, list[tuple[bytes, bytes]], bytes]]:
    transport = httpx.ASGITransport(create_app(cell), raise_app_exceptions=False)
    answers = []
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        for method, path, body, headers in _requests():
            answer = await client.request(method, path, content=body, headers={"X-Robotkit-Client": "key", **headers})
            answers.append((answer.status_code, answer.headers.raw, answer.content))
    return answers


def _all_answers() -> list[tuple[int, list[tuple[bytes, bytes]], bytes]]:
    with rk.make_workcell("fake", clock="lockstep") as cell:
        return asyncio.run(_answers(cell))


async def _pass_on(self: DirectWay, scope: Scope, receive: Receive, send: Send) -> None:
    await self._app(scope, receive, send)


def _assert_alike(monkeypatch: pytest.MonkeyPatch, statuses: set[int]) -> None:
    direct = _all_answers()
    monkeypatch.setattr(DirectWay, "__call__", _pass_on)
    for request, answer, routed in zip(_requests(), direct, _all_answers(), strict=True):
        assert answer == routed, request
    assert statuses <= {status for status, *_ in direct}


def test_a_direct_route_answers_as_the_router_does(monkeypatch: pytest.MonkeyPatch) -> None:
    _assert_alike(monkeypatch, {200, 204, 404, 405, 409, 422})


def test_a_failing_driver_is_answered_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*given: object) -> None:
        raise ZeroDivisionError("in the driver")

    monkeypatch.setattr(rk.Workcell, "handle", fail)
    _assert_alike(monkeypatch, {500})


def test_the_routes_that_move_are_direct() -> None:
    assert {"/v1/step", "/v1/robot/command", "/v1/gripper/move", "/v1/reset"} <= DIRECT
    assert not any("{" in path for path in DIRECT), "the parts of such a path are found by the router"
