"""A server process that is suspended with its arm in motion: nobody waits for it for ever, and no old command acts."""

from __future__ import annotations

import signal
import time

import numpy as np
import pytest

import robotkit as rk
from robotkit.spatial import integrate_delta
from tests.serving import server_process
from tests.support.waiting import wait_until

PATIENCE_S = 0.3
FROZEN_COMMANDS = 3


def ahead(start: np.ndarray, distance_m: float) -> rk.PoseCommand:
    return rk.PoseCommand(tcp_pose_in_base=integrate_delta(start, np.array((0.0, distance_m, 0.0)), np.zeros(3)))


def test_b4_commands_to_a_frozen_server_end_in_time_and_are_not_carried_out_when_it_goes_on() -> None:
    calls = ("--cell", "fake", "--clock", "real")
    with server_process(*calls) as (url, process), rk.make_workcell("remote", url=url) as cell:
        start = cell.reset(seed=0).robot.tcp_pose_in_base.copy()
        cell.robot.send(ahead(start, 0.01))
        before = cell.robot.get_state()
        process.send_signal(signal.SIGSTOP)
        cell.robot._session.timeout_s = PATIENCE_S
        try:
            begun_s = time.monotonic()
            for _ in range(FROZEN_COMMANDS):
                with pytest.raises((rk.RemoteTimeout, rk.ConnectionFailed)):
                    cell.robot.send(ahead(start, 0.1))
            with pytest.raises((rk.RemoteTimeout, rk.ConnectionFailed)):
                cell.robot.get_state()
            waited_s = time.monotonic() - begun_s
        finally:
            process.send_signal(signal.SIGCONT)
        assert waited_s < 5.0, "one patience each, and what a busy machine adds"
        assert waited_s > cell.limits.watchdog_s
        with rk.make_workcell("remote", url=url) as afterwards:
            wait_until(lambda: afterwards.robot.get_state().mode == "holding")
            held = afterwards.robot.get_state()
            assert held.target_epoch > before.target_epoch
            for _ in range(20):
                afterwards.clock.advance(0.02)
                assert afterwards.robot.get_state().mode == "holding"
            np.testing.assert_allclose(afterwards.robot.get_state().tcp_pose_in_base, held.tcp_pose_in_base, atol=1e-6)
            assert np.linalg.norm(held.tcp_pose_in_base[:3] - start[:3]) < 0.0101
            assert afterwards.robot.send(ahead(held.tcp_pose_in_base, 0.01)).kind == "pose"
