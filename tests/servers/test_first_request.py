"""The first request of a server costs no more than the others: what can be built before is built before."""

from __future__ import annotations

import asyncio
from typing import Any

import fastapi.routing
import pytest

import robotkit as rk
from servers import ServerSettings, create_app


async def _status(app: Any, method: str, path: str) -> int:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": method, "path": path, "headers": [(b"host", b"localhost")], "query_string": b"",
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 5000), "scheme": "http", "root_path": "", "state": {},
    }  # fmt: skip
    await app(scope, receive, send)
    return int(sent[0]["status"])


def test_f11_the_first_stop_and_the_first_wrong_address_build_no_route(monkeypatch: pytest.MonkeyPatch) -> None:
    app = create_app(rk.make_workcell("fake"), ServerSettings(port=0))
    built: list[object] = []
    get_dependant = fastapi.routing.get_dependant
    monkeypatch.setattr(
        fastapi.routing, "get_dependant", lambda **given: (built.append(given), get_dependant(**given))[1]
    )

    async def run() -> list[int]:
        async with app.router.lifespan_context(app):
            built.clear()
            return [await _status(app, *asked) for asked in (("POST", "/v1/robot/stop"), ("GET", "/none"))]

    assert asyncio.run(run()) == [204, 404]
    assert built == []
