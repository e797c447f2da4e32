"""One server around the fake cell for all tests of this folder, a bare client, and the operator's page in a browser."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

import robotkit as rk
from servers import ServerSettings, create_app
from servers.runner import BackgroundServer
from tests.serving import served
from tests.support.browser import chromium
from tests.support.operators_page import StopCounter, opened


@pytest.fixture(scope="session")
def app_cell() -> rk.Workcell:
    return rk.make_workcell("fake")


@pytest.fixture(scope="session")
def server(app_cell: rk.Workcell) -> Iterator[BackgroundServer]:
    with BackgroundServer(create_app(app_cell, ServerSettings(port=0))) as running:
        yield running


@pytest.fixture
def http(server: BackgroundServer, app_cell: rk.Workcell) -> Iterator[httpx.Client]:
    """A named client of a cell that is at its start."""
    with httpx.Client(
        base_url=server.url,
        headers={"X-Robotkit-Client": "key", "X-Robotkit-Name": "tester"},
        trust_env=False,
        timeout=60.0,
    ) as client:
        assert client.post("/v1/robot/recover").status_code == 204
        assert client.post("/v1/reset", json={"seed": 0}).status_code == 200
        yield client
        assert client.post("/v1/control/release").status_code == 204


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with chromium(tmp_path_factory.mktemp("chromium")) as page:
        yield page


@pytest.fixture
def cell() -> rk.Workcell:
    return rk.make_workcell("fake", clock="real")


@pytest.fixture
def stops(cell: rk.Workcell, monkeypatch: pytest.MonkeyPatch) -> StopCounter:
    return StopCounter(cell, monkeypatch)


@pytest.fixture
def page(browser: Any, stops: StopCounter, cell: rk.Workcell) -> Iterator[Any]:
    with served(cell) as url:
        yield opened(browser, url)
        browser.get("about:blank")
