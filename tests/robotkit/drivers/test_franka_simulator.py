"""The extended simulator itself: what it adds to franky-sim, seen through libfranka's own eyes."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import franky
import numpy as np
import psutil
import pytest

from tests.support.franky_sim import FrankaSimulator, shared_simulator
from tests.support.franky_sim.server import ERROR_INDEX
from tests.support.waiting import wait_until


@pytest.fixture
def arm() -> Iterator[franky.Robot]:
    simulator = shared_simulator()
    robot = franky.Robot(simulator.host, realtime_config=franky.RealtimeConfig.Ignore)
    robot.recover_from_errors()
    yield robot
    simulator.inject(wrench_on_environment=[0.0] * 6)


def hold(arm: franky.Robot) -> None:
    motion = franky.CartesianImpedanceTrackingMotion(1000.0, 50.0)
    motion.set_reference(franky.CartesianReference(target=arm.state.O_T_EE))
    arm.move(motion, asynchronous=True)


@pytest.mark.parametrize("name", ERROR_INDEX)
def test_a_reflex_has_libfrankas_name_and_is_latched(arm, name):
    shared_simulator().inject(reflex=name)
    wait_until(lambda: arm.state.robot_mode == franky.RobotMode.Reflex)
    assert str(arm.state.current_errors) == f'["{name}"]'
    arm.recover_from_errors()
    wait_until(lambda: arm.state.robot_mode == franky.RobotMode.Idle)
    assert str(arm.state.current_errors) == "[]"


def test_a_latched_arm_refuses_to_move(arm):
    shared_simulator().inject(reflex="joint_reflex")
    wait_until(lambda: arm.has_errors)
    hold(arm)
    with pytest.raises((franky.CommandException, franky.ControlException)):
        arm.join_motion()
    arm.recover_from_errors()


def test_in_lockstep_no_cycle_is_lost(arm):
    hold(arm)
    start_s = arm.state.time.to_sec()
    wait_until(lambda: arm.state.time.to_sec() - start_s > 0.3)
    assert arm.state.control_command_success_rate == 1.0
    arm.move(franky.TorqueStopMotion())


def test_the_wrench_is_what_the_arm_exerts_in_both_frames(arm):
    shared_simulator().inject(wrench_on_environment=[1.0, 2.0, -5.0, 0.0, 0.0, 0.1])
    wait_until(lambda: abs(arm.state.O_F_ext_hat_K[2] + 5.0) < 0.1)
    state = arm.state
    rotation = state.O_T_EE.matrix[:3, :3]
    np.testing.assert_allclose(rotation @ state.K_F_ext_hat_K[:3], state.O_F_ext_hat_K[:3], atol=1e-4)


def test_everything_listens_on_loopback_only():
    with FrankaSimulator() as simulator:
        franky.Robot(simulator.host, realtime_config=franky.RealtimeConfig.Ignore)
        process = psutil.Process(simulator.process_id)
        addresses = {connection.laddr.ip for connection in process.net_connections(kind="inet")}
    assert addresses
    assert all(address.startswith("127.") for address in addresses)


def test_a_killed_simulator_leaves_its_address_free():
    simulator = FrankaSimulator().start()
    simulator.kill()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((simulator.host, 1337), timeout=1.0)
    simulator.start().stop()
