"""Servers for tests: real sockets, in a thread of this process or in a process of their own."""

from __future__ import annotations

import atexit
import functools
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import robotkit as rk
from servers import ServerSettings, create_app
from servers.runner import BackgroundServer

REPOSITORY = Path(__file__).parents[1]


@contextmanager
def served(cell: rk.Workcell, settings: ServerSettings | None = None) -> Iterator[str]:
    """The URL of a server around `cell`, on a port that the system chooses."""
    with BackgroundServer(create_app(cell, replace(settings or ServerSettings(), port=0))) as server:
        yield server.url


@functools.cache
def shared_server(name: str, **options: object) -> str:
    """The URL of a server that lives until the test run ends; whoever uses it resets and recovers the cell first."""
    server = BackgroundServer(create_app(rk.make_workcell(name, **options), ServerSettings(port=0))).start()
    atexit.register(server.stop)
    return server.url


def start(module: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """`python -m module` with its output readable; its child sees this process's environment and more."""
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=REPOSITORY,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for_url(process: subprocess.Popen[str]) -> str:
    """The address that a server process announces."""
    assert process.stdout is not None
    line = process.stdout.readline()
    found = re.search(r"https?://\S+", line)
    assert found is not None, line + process.stdout.read()
    return found.group()


@contextmanager
def server_process(*arguments: str, **environment: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """`python -m servers` on a port that the system chooses: its URL and its process."""
    process = start("servers", "--port", "0", *arguments, **environment)
    try:
        yield wait_for_url(process), process
    finally:
        process.kill()
        process.communicate()
