"""A stop of a program that has no file, no thread and no new connection left."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

import robotkit as rk
from robotkit.remote import Session
from robotkit.schema.wire import ClockState
from tests.robotkit.remote.test_dial import _named, _port
from tests.robotkit.remote.test_session import DONE, OK, scripted

WITHOUT_FILES = """
import os, resource, sys
import encodings.idna
from robotkit.remote import Session
session = Session(sys.argv[1], timeout_s=20.0)
session.get("/v1/clock")
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
files = []
try:
    while True:
        files.append(os.open("/dev/null", os.O_RDONLY))
except OSError:
    pass
for _ in range(int(sys.argv[2])):
    os.close(files.pop())
session.stop()
os.write(1, b"stopped")
"""


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize(("spare", "connections"), [(0, [[OK, DONE]]), (1, [[OK], [DONE]])])
def test_b2_a_program_that_has_as_many_files_open_as_it_may_stops_the_robot(
    host: str, spare: int, connections: list[list[bytes | None]]
) -> None:
    with scripted(*connections) as (url, received):
        program = subprocess.run(
            [sys.executable, "-c", WITHOUT_FILES, f"http://{host}:{_port(url)}", str(spare)],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert program.stdout == "stopped", program.stderr
    assert [request.split()[1] for request in received] == [b"/v1/clock", b"/v1/robot/stop"]


@contextmanager
def _no_thread_starts() -> Iterator[None]:
    """The system refuses a stack of 64 TiB, and with it the thread."""
    before = threading.stack_size(2**46)
    try:
        with pytest.raises(RuntimeError, match="can't start new thread"):
            threading.Thread(target=int).start()
        yield
    finally:
        threading.stack_size(before)


@pytest.mark.parametrize("knows_the_address", [True, False])
def test_b2_a_program_that_can_start_no_thread_stops_a_robot_that_has_a_name(
    monkeypatch: pytest.MonkeyPatch, knows_the_address: bool
) -> None:
    with scripted([DONE]) as (url, received):
        _named(monkeypatch, ("127.0.0.1", _port(url)))
        with closing(Session("http://robot:1", timeout_s=20.0)) as session:
            if knows_the_address:
                session.dialer._known = [(socket.AF_INET, ("127.0.0.1", _port(url)))]
                _named(monkeypatch)
            with _no_thread_starts():
                session.stop()
    assert received[0].startswith(b"POST /v1/robot/stop ")


@pytest.mark.parametrize(
    "why", [OSError("no file"), TimeoutError("no answer"), RuntimeError("no thread"), MemoryError()]
)
def test_b2_whatever_keeps_a_stop_from_a_new_connection_it_takes_one_that_is_open(
    monkeypatch: pytest.MonkeyPatch, why: Exception
) -> None:
    def fail(end_s: float) -> None:
        raise why

    with scripted([OK, DONE, None]) as (url, received), closing(Session(url, timeout_s=20.0)) as session:
        session.read("/v1/clock", ClockState)
        monkeypatch.setattr(session.dialer, "addresses", fail)
        session.stop()
        with pytest.raises(rk.RobotkitError) as raised:
            session.stop()
    assert isinstance(raised.value, rk.RemoteTimeout if isinstance(why, TimeoutError) else rk.ConnectionFailed)
    assert received[1].startswith(b"POST /v1/robot/stop ")
