"""For how long a stop has been latched: also in a cell whose clock stands still."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

import robotkit as rk
from servers import ServerSettings, create_app, telling
from servers.routes import health


@pytest.mark.parametrize("clock", ["lockstep", "real"])
def test_u9_a_stop_grows_older_until_the_recovery_whatever_the_cells_clock_does(
    monkeypatch: pytest.MonkeyPatch, clock: str
) -> None:
    now_s = [1000.0]
    cell = rk.make_workcell("fake", clock=clock)
    shared = create_app(cell, ServerSettings()).state.context
    cell.connect()
    for module in (telling, health):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now_s[0]))
    try:
        for _ in range(2):
            cell.robot.stop_for("the door was opened", "door switch")
            now_s[0] += 7.0
            cell.robot.stop_for("again", "somebody else")
            now_s[0] += 3.0
            assert health._health(shared, cell.robot.get_state(), None).stopped_for_s == pytest.approx(10.0)
            cell.robot.recover()
            assert health._health(shared, cell.robot.get_state(), None).stopped_for_s is None
    finally:
        monkeypatch.undo()
        cell.disconnect()
