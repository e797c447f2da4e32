"""Clock jumps: nothing that matters asks the wall's clock, which somebody may set while a robot is controlled."""

from __future__ import annotations

import ast
import itertools
import time
from pathlib import Path

import httpx
import numpy as np
import pytest

import robotkit as rk
from tests.serving import served

ROOT = Path(__file__).parents[1]
ROOMS = ("robotkit", "servers", "sims", "envs", "rl/link")
WALL = {"time", "time_ns", "localtime", "gmtime", "ctime", "strftime", "now", "utcnow", "today", "CLOCK_REALTIME"}
"""Attributes of `time`, `datetime` and `date` that tell the wall's time."""
ALLOWED = {
    "robotkit/drivers/realsense_time.py": "maps stamps that a camera takes from the wall's clock; a jump moves none",
    "rl/link/link_connection.py": "tells a person until when an actor waits",
    "servers/audit.py": "dates the lines of the audit log",
}


def asks_the_wall(source: str) -> bool:
    """Whether a module reads, or hands on, a function or a clock of the wall's time."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and node.attr in WALL:
            owner = node.value.attr if isinstance(node.value, ast.Attribute) else getattr(node.value, "id", "")
            if owner in ("time", "datetime", "date"):
                return True
        if isinstance(node, ast.ImportFrom) and node.module == "time" and WALL & {name.name for name in node.names}:
            return True
    return False


def test_who_asks_the_wall_clock_is_known_and_has_a_reason():
    found = {
        str(path.relative_to(ROOT))
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
        if asks_the_wall(path.read_text(encoding="utf-8"))
    }
    assert found == set(ALLOWED)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import time\nx = time.time()", True),
        ("import time\ndef f(clock=time.time_ns): ...", True),
        ("from time import time", True),
        ("import datetime\nx = datetime.datetime.now()", True),
        ("import time\nx = time.clock_gettime(time.CLOCK_REALTIME)", True),
        ("import time\nx = time.monotonic() + time.perf_counter()", False),
        ("x = clock.now()", False),
    ],
)
def test_what_counts_as_asking_the_wall_clock(source: str, expected: bool):
    assert asks_the_wall(source) is expected


def test_a_wall_clock_that_is_set_by_hours_changes_nothing_for_who_controls_a_robot(monkeypatch: pytest.MonkeyPatch):
    """Steps with deadlines over a server, a watchdog, a limit on the state's age, a lease, a stop and its record."""
    jumps, wall = itertools.cycle((0.0, 7200.0, -10800.0, 86400.0)), time.time
    monkeypatch.setattr(time, "time", lambda: wall() + next(jumps))
    cell = rk.make_workcell("fake", clock="real", **{"limits.watchdog_s": 5.0, "limits.state_max_age_s": 0.5})
    with (
        served(cell) as url,
        rk.make_workcell("remote", url=url) as remote,
        httpx.Client(base_url=url, timeout=60.0) as http,
    ):
        pose = remote.get_state().robot.tcp_pose_in_base
        target, stamps_s = rk.PoseCommand(tcp_pose_in_base=pose), []
        for _ in range(12):
            state = remote.step(target, None, 0.002)
            stamps_s.append(state.robot.stamp_s)
            assert state.robot.mode == "tracking"
            assert state.overrun_s < 1000.0
        assert stamps_s == sorted(stamps_s)
        assert stamps_s[-1] - stamps_s[0] < 1000.0
        np.testing.assert_allclose(remote.get_state().robot.tcp_pose_in_base, pose, atol=1e-6)
        assert abs(remote.clock.now_s() - cell.clock.now_s()) < 1000.0
        remote.robot.stop()
        with pytest.raises(rk.RobotStopped, match=r"stopped since \d+\.\d s"):
            remote.step(target, None, 0.002)
        assert http.get("/v1/health").json()["status"] == "stopped"
        remote.robot.recover()
        assert remote.step(target, None, 0.002).robot.mode == "tracking"
