"""How long a stop takes at the robot server while clients do their worst; the server is a process of its own."""

from __future__ import annotations

import http.client
import json
import multiprocessing
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from robotkit.remote import RemoteWorkcell
from robotkit.schema.wire import CLIENT_HEADER

Load = Callable[[RemoteWorkcell], AbstractContextManager[object]]

TARGET_MS = 20.0
BLOCKED_REQUESTS = 60
IDLE_CONNECTIONS = 1000
LARGEST_BODY_BYTES = 65536
STREAM_RATE_HZ = 500.0


def run(cell: RemoteWorkcell, count: int) -> list[dict[str, Any]]:
    """Measure `count` stops under each load; the cell is recovered afterwards."""
    return [_row(load, _stops(cell, count, LOADS[load])) for load in LOADS]


def _stops(cell: RemoteWorkcell, count: int, load: Load) -> float:
    """The 99th percentile in milliseconds, each stop over a connection of its own."""
    took_s: list[float] = []
    host = urlsplit(cell.session.url).netloc
    with load(cell):
        for _ in range(count):
            begin_s = time.perf_counter()
            connection = http.client.HTTPConnection(host, timeout=30.0)
            connection.request("POST", "/v1/robot/stop")
            assert connection.getresponse().status == http.client.NO_CONTENT
            took_s.append(time.perf_counter() - begin_s)
            connection.close()
            time.sleep(0.005)
    cell.robot.recover()
    return float(1000.0 * np.percentile(took_s, 99))


@contextmanager
def blocked_requests(cell: RemoteWorkcell) -> Iterator[None]:
    """Steps of ten seconds: some run or wait, the others are refused and ask again."""
    with _asking(cell, BLOCKED_REQUESTS, "/v1/step", json.dumps({"period_s": 10.0}), 0.1):
        yield


@contextmanager
def idle_connections(cell: RemoteWorkcell) -> Iterator[None]:
    """Connections over which nothing is asked."""
    address = urlsplit(cell.session.url)
    with ExitStack() as stack:
        for _ in range(IDLE_CONNECTIONS):
            stack.enter_context(socket.create_connection((address.hostname, address.port)))
        yield


@contextmanager
def largest_bodies(cell: RemoteWorkcell) -> Iterator[None]:
    """Two clients that send the largest body that is read, one after the other, and each is refused."""
    numbers = ",".join(["0.125"] * ((LARGEST_BODY_BYTES - 100) // 6))
    with _asking(cell, 2, "/v1/step", f'{{"command":{{"kind":"joint","joint_positions_rad":[{numbers}]}}}}', 0.0):
        yield


@contextmanager
def _asking(cell: RemoteWorkcell, clients: int, path: str, body: str, pause_s: float) -> Iterator[None]:
    """Clients in a process of their own, so that they take no time from the one that stops."""
    host = urlsplit(cell.session.url).netloc
    process = multiprocessing.get_context("spawn").Process(target=_ask, args=(host, clients, path, body, pause_s))
    process.start()
    time.sleep(2.0)
    try:
        yield
    finally:
        process.kill()
        process.join()


def _ask(host: str, clients: int, path: str, body: str, pause_s: float) -> None:
    def ask() -> None:
        connection = http.client.HTTPConnection(host, timeout=60.0)
        while True:
            connection.request("POST", path, body, {CLIENT_HEADER: "load", "Content-Type": "application/json"})
            connection.getresponse().read()
            time.sleep(pause_s)

    threads = [threading.Thread(target=ask) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


LOADS: Mapping[str, Load] = {
    "the server is idle": nullcontext,
    f"{BLOCKED_REQUESTS} requests block": blocked_requests,
    f"{IDLE_CONNECTIONS} connections are open": idle_connections,
    "the largest bodies arrive": largest_bodies,
    f"a stream runs at {STREAM_RATE_HZ:g} Hz": lambda cell: cell.stream(STREAM_RATE_HZ),
}


def _row(load: str, p99_ms: float) -> dict[str, Any]:
    return {"name": f"stop while {load}, p99", "value": p99_ms, "unit": "ms", "note": f"target {TARGET_MS:g}"}
