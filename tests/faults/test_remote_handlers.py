"""A signal handler may use a remote cell at any line of a call to it: nothing hangs, and its stop is latched."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

import robotkit as rk
from servers import ServerSettings
from tests.serving import served
from tests.support.interruption import Interrupt, Interruption, interrupted

_STUCK_S = 100.0
_SOURCES = ("/robotkit/remote/", "/httpcore/", "threading.py", "/websockets/sync/")

Use = Callable[[rk.Workcell], object]

CALLS: dict[str, Use] = {
    "get_state": lambda cell: cell.robot.get_state(),
    "hold": lambda cell: cell.robot.hold(),
    "step": lambda cell: cell.step(),
    "move": lambda cell: cell.robot.move_to_joint_positions(cell.robot.spec.reset_joint_positions_rad),
    "stop": lambda cell: cell.robot.stop(),
}
HANDLERS: dict[str, Use] = {
    "stop": lambda cell: cell.robot.stop(),
    "hold": lambda cell: cell.robot.hold(),
    "release": lambda cell: cell.session.post("/v1/control/release"),
    "disconnect": lambda cell: cell.disconnect(),
}
PAIRS = [(call, "stop") for call in CALLS] + [
    (call, handler) for call in ("get_state", "step") for handler in HANDLERS if handler != "stop"
]


@pytest.fixture(scope="module")
def served_cell() -> rk.Workcell:
    return rk.make_workcell("fake", clock="lockstep")


@pytest.fixture(scope="module")
def url(served_cell: rk.Workcell) -> Iterator[str]:
    with served(served_cell) as running:
        yield running


@pytest.mark.parametrize(("call", "handler"), PAIRS)
def test_a2_a_signal_handler_may_use_a_remote_cell_at_any_line(
    url: str, served_cell: rk.Workcell, call: str, handler: str
) -> None:
    cell = rk.make_workcell("remote", url=url, timeout_s=15.0)
    line = 0
    while True:
        line += 1
        cell.connect()
        if line % 2:  # every other time over a connection that is open already
            cell.step()
        come = Interruption(line, lambda: HANDLERS[handler](cell), _SOURCES)
        error = interrupted(lambda: CALLS[call](cell), come)
        assert error is None or isinstance(error, rk.RobotkitError), f"line {line}: {error!r}"
        if not come.has_come:
            break
        if "stop" in (call, handler):
            assert served_cell.robot.get_state().mode == "stopped", f"line {line}"
            cell.robot.recover()
    cell.disconnect()
    assert line > 100, "there were lines to interrupt"


def _interrupt() -> None:
    raise KeyboardInterrupt


def test_a_remote_cell_can_be_read_after_an_interrupt_at_any_line(url: str) -> None:
    cell = rk.make_workcell("remote", url=url, timeout_s=15.0)
    read = CALLS["get_state"]
    cell.connect()
    line = 0
    while True:
        line += 1
        read(cell)
        come = Interruption(line, _interrupt, ("/robotkit/remote/", "/httpcore/"))
        error = interrupted(lambda: read(cell), come)
        if not come.has_come:
            break
        assert isinstance(error, KeyboardInterrupt), f"line {line}: {error!r}"
        # A connection that was taken and not yet used when the interrupt came is left to the garbage collector.
        for kept in set(cell.session._transport._open) - set(cell.session._transport._idle):
            kept.http.close()
            cell.session._transport._open.discard(kept)
    cell.disconnect()
    assert line > 100, "there were lines to interrupt"


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_remote_cell_can_be_stepped_after_an_interrupt_at_any_moment(scheme: str, tmp_path: Path) -> None:
    trustme = pytest.importorskip("trustme")
    cert, key, ca = (tmp_path / f"{name}.pem" for name in ("cert", "key", "ca"))
    authority = trustme.CA()
    authority.cert_pem.write_to_path(ca)
    certificate = authority.issue_cert("127.0.0.1")
    certificate.cert_chain_pems[0].write_to_path(cert)
    certificate.private_key_pem.write_to_path(key)
    settings = ServerSettings(tls_cert=cert, tls_key=key) if scheme == "https" else ServerSettings()

    moments: list[int] = []
    ended: list[bool] = []

    def step_interrupted_at(cell: rk.Workcell, moment: int) -> bool:
        come = Interrupt(moment, ("/robotkit/remote/", "threading.py", "/websockets/sync/"))
        with suppress(KeyboardInterrupt):
            sys.setprofile(come)
            try:
                cell.step()
            finally:
                sys.setprofile(None)
        cell.step()
        return come.has_come

    def run() -> None:
        with rk.make_workcell("remote", url=url, ca_file=str(ca), timeout_s=15.0) as cell:
            cell.step()
            while step_interrupted_at(cell, len(moments) + 1):
                moments.append(len(moments) + 1)
        ended.append(True)

    with served(rk.make_workcell("fake", clock="lockstep"), settings) as url:
        # All in one thread, as with Ctrl+C: a lock that is re-entrant keeps it from nothing.
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        thread.join(_STUCK_S)
        assert ended, f"after moment {len(moments)}"
    assert len(moments) > 40, "there were moments to interrupt"
